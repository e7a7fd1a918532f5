import { findOwnPartitions, OWN_PARTITION_NAMES, type BaseDevice } from '@boxship/formats';
import { UserError } from '@boxship/model';

/**
 * An image that holds a store already was made by `compose`, or by a build with `boxship-bundle` in it: a second store would
 * lie beside the first, and the device would find two. Errors: STORE_IN_BASE.
 */
export async function refuseStoreInBase(device: BaseDevice): Promise<void> {
  for (const { role, partition } of await findOwnPartitions(device)) {
    throw new UserError(
      'STORE_IN_BASE',
      `partition ${partition.number} of the base image is "${OWN_PARTITION_NAMES[role]}": it has its containers already`,
      'Flash it as it is, or exchange its apps: boxship update-apps. Or give the image before the containers came in: of a build, the one with yocto: { bundle: compose }.',
    );
  }
}
