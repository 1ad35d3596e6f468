/** String values, as the rest of the server sees them. */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import type { Digest } from '../structures/digest.ts';
import type { Heap } from '../structures/heap.ts';
import type { ObjectType } from '../structures/object-type.ts';
import {
  createEmbeddedString,
  createEncodedString,
  createObject,
  createRawString,
  OBJ_ENCODING_EMBSTR,
  OBJ_ENCODING_INT,
  OBJ_ENCODING_RAW,
  OBJ_STRING,
  ROBJ_BYTES,
  robjEncoding,
  robjIntText,
  robjPtr,
  robjSetInt,
  stringObjectLen,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsVerify, sdsZmallocSize } from '../structures/sds.ts';

const RDB_TYPE_STRING = 0;

export const stringType: ObjectType = {
  name: 'string',
  free(h: Heap, o: number): void {
    if (robjEncoding(h, o) === OBJ_ENCODING_RAW) sdsFree(h, robjPtr(h, o));
  },
  verify(h: Heap, o: number): void {
    const encoding = robjEncoding(h, o);
    if (encoding === OBJ_ENCODING_RAW || encoding === OBJ_ENCODING_EMBSTR) sdsVerify(h, robjPtr(h, o));
    else if (encoding !== OBJ_ENCODING_INT) throw new Error(`Broken object at ${o}: encoding ${encoding}`);
  },
  encodingName(h: Heap, o: number): string {
    const encoding = robjEncoding(h, o);
    return encoding === OBJ_ENCODING_INT ? 'int' : encoding === OBJ_ENCODING_EMBSTR ? 'embstr' : 'raw';
  },
  length: stringObjectLen,
  freeEffort: () => 1,
  memoryUsage(h: Heap, o: number): number {
    const encoding = robjEncoding(h, o);
    if (encoding === OBJ_ENCODING_INT) return ROBJ_BYTES;
    return encoding === OBJ_ENCODING_EMBSTR ? h.usable(o) : ROBJ_BYTES + sdsZmallocSize(h, robjPtr(h, o));
  },
  duplicate(h: Heap, o: number): number {
    const encoding = robjEncoding(h, o);
    if (encoding === OBJ_ENCODING_INT) {
      const copy = createObject(h, OBJ_STRING, OBJ_ENCODING_INT, 0);
      robjSetInt(h, copy, h.u32[(o + 8) >>> 2], h.i32[(o + 12) >>> 2]);
      return copy;
    }
    const s = robjPtr(h, o);
    const length = sdsLen(h, s);
    return encoding === OBJ_ENCODING_EMBSTR ? createEmbeddedString(h, s, length) : createRawString(h, s, length);
  },
  rdbType: () => RDB_TYPE_STRING,
  saveRdb(w: RdbWriter, o: number): void {
    w.putStringObject(o);
  },
  rdbTypes: [RDB_TYPE_STRING],
  loadRdb(r: RdbReader): number {
    return r.readString() ? createEncodedString(r.heap, r.stringOffset, r.stringLength) : 0;
  },
  mixDigest(h: Heap, o: number, digest: Digest): void {
    if (robjEncoding(h, o) === OBJ_ENCODING_INT) digest.mixText(robjIntText(h, o));
    else digest.mix(h.u8, robjPtr(h, o), sdsLen(h, robjPtr(h, o)));
  },
};
