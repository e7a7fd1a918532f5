export { CosignError, type CosignErrorCode } from './cosign-error.ts';
export { DEVELOPMENT, type KeyMetadata } from './key-metadata.ts';
export {
  generateKeyPair,
  importPrivateKey,
  isDevelopmentKey,
  loadPrivateKey,
  publicKeyOf,
  type KeyOptions,
  type KeyPair,
} from './private-key.ts';
export { parsePublicKey, type PublicKey, type SignatureAlgorithm } from './public-key.ts';
export { signBlob, signDigest, type BlobSignature } from './sign-blob.ts';
export type { Signer } from './signer.ts';
export { signStatement, verifyStatement, type VerifiedStatement } from './statement.ts';
export { verifyBlob, verifyDigest, type VerifiedBlob } from './verify-blob.ts';
