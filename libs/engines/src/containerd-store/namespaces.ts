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
  // pinned (from containerd 1.6.22 and 1.7.3 on): the kubelet removes images that no pod uses when the disk is nearly full
  imageLabels: { 'io.cri-containerd.image': 'managed', 'io.cri-containerd.pinned': 'pinned' },
};

/** The namespace of a name; one that nobody else uses is like `default`. */
export function namespaceOf(name: string): ContainerdNamespace {
  const known = [defaultNamespace, mobyNamespace, kubernetesNamespace].find((namespace) => namespace.name === name);
  return known ?? { ...defaultNamespace, name };
}
