/** A digest of the data, equal on two servers that hold the same: DEBUG DIGEST and DEBUG DIGEST-VALUE, by the original's recipe. */
import { type Db, getExpire } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import { sha1 } from './sha1.ts';
import { dictBucket, dictKey, dictNext, dictSize, dictTableSize, dictValue } from './structures/dict.ts';
import { OBJ_ENCODING_INT, robjEncoding, robjIntText, robjPtr, robjType } from './structures/robj.ts';
import { sdsLen } from './structures/sds.ts';

const DIGEST_BYTES = 20;

/** Order does not matter: what several parts are xored into. */
function xorDigest(digest: Uint8Array, bytes: Uint8Array, offset: number, length: number): void {
  const hash = sha1(bytes, offset, length);
  for (let i = 0; i < DIGEST_BYTES; i++) digest[i]! ^= hash[i]!;
}

/** Order matters: the digest so far is hashed again. */
function mixDigest(digest: Uint8Array, bytes: Uint8Array, offset: number, length: number): void {
  xorDigest(digest, bytes, offset, length);
  digest.set(sha1(digest, 0, DIGEST_BYTES));
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const expireMark = ascii('!!expire!!');

function bigEndian(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function mixValue(core: RedisCore, db: Db, digest: Uint8Array, key: number, keyLength: number, robj: number): void {
  const h = core.heap;
  mixDigest(digest, bigEndian(robjType(h, robj)), 0, 4);
  if (robjEncoding(h, robj) === OBJ_ENCODING_INT) {
    const text = ascii(robjIntText(h, robj));
    mixDigest(digest, text, 0, text.length);
  } else {
    const s = robjPtr(h, robj);
    mixDigest(digest, h.u8, s, sdsLen(h, s));
  }
  if (getExpire(core, db, key, keyLength) >= 0) xorDigest(digest, expireMark, 0, expireMark.length);
}

const hex = (digest: Uint8Array): string => Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @returns 40 hex digits for the value and expiry of one key */
export function valueDigest(core: RedisCore, db: Db, key: number, keyLength: number, robj: number): string {
  const digest = new Uint8Array(DIGEST_BYTES);
  if (robj !== 0) mixValue(core, db, digest, key, keyLength, robj);
  return hex(digest);
}

/** @returns 40 hex digits for all databases, zeros when all are empty */
export function dataDigest(core: RedisCore): string {
  const h = core.heap;
  const total = new Uint8Array(DIGEST_BYTES);
  for (const db of core.dbs) {
    if (dictSize(h, db.dict) === 0) continue;
    mixDigest(total, bigEndian(db.id), 0, 4);
    for (let table = 0; table < 2; table++) {
      const size = dictTableSize(h, db.dict, table);
      for (let i = 0; i < size; i++) {
        for (let entry = dictBucket(h, db.dict, table, i); entry !== 0; entry = dictNext(h, entry)) {
          const key = dictKey(h, entry);
          const length = sdsLen(h, key);
          const digest = new Uint8Array(DIGEST_BYTES);
          mixDigest(digest, h.u8, key, length);
          mixValue(core, db, digest, key, length, dictValue(h, entry));
          xorDigest(total, digest, 0, DIGEST_BYTES);
        }
      }
    }
  }
  return hex(total);
}
