/** Sets, as the rest of the server sees them. */
import type { ObjectType } from '../structures/object-type.ts';

const missing = (): never => {
  throw new Error('Cannot handle a value of the type set: the type is not there yet');
};

export const setType: ObjectType = {
  name: 'set',
  free: missing,
  verify: missing,
  encodingName: missing,
  length: missing,
  freeEffort: missing,
  memoryUsage: missing,
  duplicate: missing,
  rdbType: missing,
  saveRdb: missing,
  rdbTypes: [],
  loadRdb: missing,
  mixDigest: missing,
};
