/** A deep check of all of a core's data, for tests and DEBUG. */
import type { RedisCore } from './redis-core.ts';
import { dictFind } from './structures/dict.ts';
import { dictVerify } from './structures/dict-check.ts';
import { dictBucket, dictKey, dictNext, dictSize, dictTableSize, dictValue } from './structures/dict-layout.ts';
import { robjVerify } from './structures/robj.ts';
import { sdsLen, sdsVerify } from './structures/sds.ts';

/** @throws Error naming what is broken */
export function verifyCore(core: RedisCore): void {
  const h = core.heap;
  for (const db of core.dbs) {
    dictVerify(h, db.dict);
    dictVerify(h, db.expires);
    if (dictSize(h, db.expires) > dictSize(h, db.dict)) {
      throw new Error(`Broken database ${db.id}: more expiry times than keys`);
    }
    for (let table = 0; table < 2; table++) {
      for (let index = 0; index < dictTableSize(h, db.dict, table); index++) {
        for (let entry = dictBucket(h, db.dict, table, index); entry !== 0; entry = dictNext(h, entry)) {
          sdsVerify(h, dictKey(h, entry));
          robjVerify(h, dictValue(h, entry));
        }
      }
      for (let index = 0; index < dictTableSize(h, db.expires, table); index++) {
        for (let entry = dictBucket(h, db.expires, table, index); entry !== 0; entry = dictNext(h, entry)) {
          const key = dictKey(h, entry);
          const main = dictFind(h, db.dict, key, sdsLen(h, key));
          if (main === 0 || dictKey(h, main) !== key) {
            throw new Error(`Broken database ${db.id}: the expiry at ${entry} does not share its key's bytes`);
          }
        }
      }
    }
  }
  core.watched.verify();
  core.tracking.verify();
  if (core.scratch.client !== null) throw new Error('Broken core: an aggregate reply is still open');
}
