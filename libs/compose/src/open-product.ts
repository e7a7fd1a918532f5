import {
  CosignError,
  isDevelopmentKey,
  loadPrivateKey,
  parsePublicKey,
  type PublicKey,
  type Signer,
} from 'cosign-node-binding';
import {
  checkVersions,
  pickVersions,
  readApps,
  readArtifactFiles,
  readCertificate,
  readLock,
  readProductFile,
  readPublicKey,
  readSigningKey,
  resolveVariants,
  signingKeyPath,
  type Lock,
  type Product,
  type ProductApps,
} from '@boxship/catalog';
import type { UpdateSigner } from '@boxship/formats';
import type { Cache, Progress } from '@boxship/host';
import { UserError, type Variant } from '@boxship/model';

export interface OpenProductOptions {
  readonly cache: Cache;
  readonly progress: Progress;
  /** Version of Boxship. */
  readonly version: string;
  /** Take other versions of host programs than the lock has; bytes may differ then. */
  readonly allowToolVersions?: boolean;
}

/** Which variants; all when absent. */
export interface Selection {
  readonly variants?: readonly string[];
  readonly machines?: readonly string[];
}

/** A product file with its apps, its lock and its public key, everything checked against each other. */
export interface OpenProduct extends OpenProductOptions {
  readonly product: Product;
  readonly apps: ProductApps;
  readonly lock: Lock;
  readonly publicKeyPem: string;
  readonly isDevelopment: boolean;
  /** Certificate of the signing key, PEM, when the product file names one. */
  readonly certificate?: string;
  variants(selection: Selection): readonly Variant[];
  /**
   * The private key, opened once. Errors: NO_PASSWORD, WRONG_PASSWORD, BAD_KEY, KEY_MISMATCH, DEVELOPMENT_KEY_MISMATCH: the
   * mark inside the private key decides, because anybody can take that of the public one away, and the plan, the device and
   * the release would then not say what they must.
   */
  signer(): Promise<Signer>;
}

/** Errors: those of the product file, its Compose files, its lock; NO_SIGNING_KEY, NO_PUBLIC_KEY, TOOL_VERSION. */
export async function openProduct(file: string, options: OpenProductOptions): Promise<OpenProduct> {
  const product = await readProductFile(file);
  const apps = readApps(product, options.progress);
  const written = await readLock(product.file);
  if (!options.allowToolVersions) await checkVersions(written.tools);
  // what is made names the programs that made it
  const lock = options.allowToolVersions ? { ...written, tools: await pickVersions(product) } : written;
  const publicKeyPem = await readPublicKey(product);
  const key = await cosign(() => parsePublicKey(publicKeyPem));
  const isDevelopment = isDevelopmentKey(key);
  const certificate = await readCertificate(product);
  const artifactFiles = await readArtifactFiles(product);
  let signer: Promise<Signer> | undefined;
  return {
    ...options,
    product,
    apps,
    lock,
    publicKeyPem,
    isDevelopment,
    ...(certificate === undefined ? {} : { certificate }),
    variants: (selection) =>
      resolveVariants(product, apps, lock, {
        ...selection,
        artifactFiles,
        version: options.version,
        signing: { keyId: key.keyId, development: isDevelopment },
      }),
    signer: () => (signer ??= openSigner(product, key)),
  };
}

async function openSigner(product: Product, publicKey: PublicKey): Promise<Signer> {
  const path = signingKeyPath(product, 'key');
  const variable = product.signing!.passwordEnvironment;
  const password = process.env[variable];
  if (password === undefined) {
    throw new UserError(
      'NO_PASSWORD',
      `the environment variable ${variable} with the password of ${path} is not set`,
      'Set it; to the empty text for a key without a password.',
    );
  }
  const pem = await readSigningKey(path, 'NO_SIGNING_KEY');
  const signer = await cosign(() => loadPrivateKey(pem, password));
  if (signer.keyId !== publicKey.keyId) {
    throw new UserError(
      'KEY_MISMATCH',
      `${path} is the key ${signer.keyId}, its public half in boxship.yaml is ${publicKey.keyId}`,
      'Name the two files of one pair under "signing".',
    );
  }
  if (isDevelopmentKey(signer) && !isDevelopmentKey(publicKey)) {
    const half = signingKeyPath(product, 'publicKey');
    throw new UserError(
      'DEVELOPMENT_KEY_MISMATCH',
      `${path} is marked as a development key; the mark was taken out of its public half ${half}`,
      'Bring back the public half that was made with the key. For a release, name a release key: boxship keygen makes one.',
    );
  }
  return signer;
}

/** The errors of cosign-node-binding as ours: it stands alone and has its own. */
export async function cosign<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CosignError)) throw error;
    throw new UserError(error.code, error.message, error.hint);
  }
}

/** The same key for formats whose signature is inside. */
export async function updateSigner(open: OpenProduct): Promise<UpdateSigner> {
  const { publicKeyPem, sign } = await open.signer();
  const { certificate } = open;
  return { publicKeyPem, sign, ...(certificate === undefined ? {} : { certificatePem: certificate }) };
}
