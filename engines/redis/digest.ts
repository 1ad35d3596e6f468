/** A digest of the data, equal on two servers that hold the same: DEBUG DIGEST and DEBUG DIGEST-VALUE, by the original's recipe. */
import { type Db, getExpire } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import { dictBucket, dictKey, dictNext, dictSize, dictTableSize, dictValue } from './structures/dict-layout.ts';
import { Digest } from './structures/digest.ts';
import { robjType } from './structures/robj.ts';
import { sdsLen } from './structures/sds.ts';

function bigEndian(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function mixValue(core: RedisCore, db: Db, digest: Digest, key: number, keyLength: number, robj: number): void {
  const h = core.heap;
  const type = robjType(h, robj);
  digest.mix(bigEndian(type), 0, 4);
  h.types[type].mixDigest(h, robj, digest);
  if (getExpire(core, db, key, keyLength) >= 0) digest.xorText('!!expire!!');
}

/** @returns 40 hex digits for the value and expiry of one key */
export function valueDigest(core: RedisCore, db: Db, key: number, keyLength: number, robj: number): string {
  const digest = new Digest();
  if (robj !== 0) mixValue(core, db, digest, key, keyLength, robj);
  return digest.hex();
}

/** @returns 40 hex digits for all databases, zeros when all are empty */
export function dataDigest(core: RedisCore): string {
  const h = core.heap;
  const total = new Digest();
  for (const db of core.dbs) {
    if (dictSize(h, db.dict) === 0) continue;
    total.mix(bigEndian(db.id), 0, 4);
    for (let table = 0; table < 2; table++) {
      const size = dictTableSize(h, db.dict, table);
      for (let i = 0; i < size; i++) {
        for (let entry = dictBucket(h, db.dict, table, i); entry !== 0; entry = dictNext(h, entry)) {
          const key = dictKey(h, entry);
          const length = sdsLen(h, key);
          const digest = new Digest();
          digest.mix(h.u8, key, length);
          mixValue(core, db, digest, key, length, dictValue(h, entry));
          total.xorDigest(digest);
        }
      }
    }
  }
  return total.hex();
}
