import type { ContainerImage } from '@boxship/model';
import { splitReference } from '../image-name.ts';
import { targetOf, type ContainerdNamespace } from './layout.ts';

/** Of `ctr` and `nerdctl`. */
export const defaultNamespace: ContainerdNamespace = { name: 'default', aliases: () => [], imageLabels: {} };

/** Of dockerd. */
export const mobyNamespace: ContainerdNamespace = { name: 'moby', aliases: () => [], imageLabels: {} };

/**
 * Of the Kubernetes runtime interface, which lists an image under its name, its digest and its id, and takes it for its
 * own by a label (containerd internal/cri/store/image, internal/cri/labels).
 */
export const kubernetesNamespace: ContainerdNamespace = {
  name: 'k8s.io',
  aliases(image: ContainerImage) {
    const { repository } = splitReference(image.reference);
    const byDigest = image.manifestSynthesized ? [] : [`${repository}@${targetOf(image).digest}`];
    return [...byDigest, image.config.digest];
  },
  imageLabels: { 'io.cri-containerd.image': 'managed' },
};

/** The namespace of a name; one that nobody else uses is like `default`. */
export function namespaceOf(name: string): ContainerdNamespace {
  const known = [defaultNamespace, mobyNamespace, kubernetesNamespace].find((namespace) => namespace.name === name);
  return known ?? { ...defaultNamespace, name };
}
