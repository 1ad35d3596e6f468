/** The patterns of SORT's BY and GET: a key, or a field of a hash, that depends on an element. */
import { type Db, lookupKeyRead } from '../db.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { wordsToBigInt } from '../structures/int64.ts';
import {
  OBJ_ENCODING_INT,
  OBJ_HASH,
  OBJ_STRING,
  robjEncoding,
  robjIntText,
  robjPtr,
  robjType,
} from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  hashTypeGet,
  hashValueHigh,
  hashValueIsInteger,
  hashValueLength,
  hashValueLow,
  hashValueOffset,
} from '../types/hash.ts';

const FIRST_BYTES = 256;

/** Room in the arena for one text at a time. */
export class TextRoom {
  private readonly h: Heap;
  private at = 0;
  private room = 0;

  constructor(h: Heap) {
    this.h = h;
  }

  /** @returns where the bytes are, until the next call. @throws ARENA_EXHAUSTED */
  put(text: string): number {
    if (text.length > this.room || this.at === 0) {
      const room = Math.max(FIRST_BYTES, text.length * 2);
      const moved = this.h.alloc(room);
      this.release();
      this.at = moved;
      this.room = room;
    }
    this.h.putLatin1(text, this.at);
    return this.at;
  }

  release(): void {
    if (this.at !== 0) this.h.free(this.at);
    this.at = 0;
    this.room = 0;
  }
}

export class SortPattern {
  /** "#": the element itself. */
  private readonly isElement: boolean;
  readonly hasStar: boolean;
  private readonly prefix: string;
  private readonly suffix: string;
  /** A field of the hash that the key holds; empty: the key holds a string. */
  private readonly field: string;

  constructor(pattern: string) {
    // To the original a pattern ends at a NUL while it looks for the star and the arrow.
    const nul = pattern.indexOf('\0');
    const visible = nul < 0 ? pattern : pattern.slice(0, nul);
    const star = visible.indexOf('*');
    const arrow = star < 0 ? -1 : visible.indexOf('->', star + 1);
    const hasField = arrow >= 0 && arrow + 2 < visible.length;
    this.isElement = visible === '#';
    this.hasStar = star >= 0;
    this.prefix = pattern.slice(0, Math.max(0, star));
    this.suffix = pattern.slice(star + 1, hasField ? arrow : undefined);
    this.field = hasField ? pattern.slice(arrow + 2) : '';
  }

  /** What the pattern gives for an element; null: nothing. @throws ARENA_EXHAUSTED */
  lookup(core: RedisCore, db: Db, element: string, room: TextRoom): string | null {
    if (this.isElement) return element;
    if (!this.hasStar) return null;
    const h = core.heap;
    const key = this.prefix + element + this.suffix;
    const o = lookupKeyRead(core, db, room.put(key), key.length);
    if (o === 0) return null;
    if (this.field === '') {
      if (robjType(h, o) !== OBJ_STRING) return null;
      if (robjEncoding(h, o) === OBJ_ENCODING_INT) return robjIntText(h, o);
      return h.latin1(robjPtr(h, o), sdsLen(h, robjPtr(h, o)));
    }
    if (robjType(h, o) !== OBJ_HASH || !hashTypeGet(h, o, room.put(this.field), this.field.length)) return null;
    if (hashValueIsInteger) return wordsToBigInt(hashValueLow, hashValueHigh).toString();
    return h.latin1(hashValueOffset, hashValueLength);
  }
}
