/**
 * Replies as a client reads them: an incremental parser of RESP2 and RESP3 that copies nothing. It tells where a reply ends
 * and where the values in it lie. An incomplete reply is taken up where it was left, so nothing is read twice.
 *
 *     const next = parser.parse(u8, start, end);
 *     if (next === REPLY_INCOMPLETE) keep the bytes from `start` on and call again with more behind them
 *     else if (next === REPLY_INVALID) the peer does not speak RESP
 *     else parser.type, parser.itemOffset[0] … tell about the bytes [start, next)
 */

/** More bytes are needed. */
export const REPLY_INCOMPLETE = -1;
/** These bytes are no reply. */
export const REPLY_INVALID = -2;

/** Type bytes of values. */
export const REPLY_STATUS = 43;
export const REPLY_ERROR = 45;
export const REPLY_INTEGER = 58;
export const REPLY_BULK = 36;
export const REPLY_ARRAY = 42;
export const REPLY_NULL = 95;
export const REPLY_DOUBLE = 44;
export const REPLY_BOOL = 35;
export const REPLY_BIG_NUMBER = 40;
export const REPLY_BULK_ERROR = 33;
export const REPLY_VERBATIM = 61;
export const REPLY_MAP = 37;
export const REPLY_SET = 126;
export const REPLY_PUSH = 62;
const ATTRIBUTE = 124;

const FIRST_ITEMS = 16;
/** A header line with more digits than this is no reply. */
const MAX_LENGTH_DIGITS = 19;

export class ReplyParser {
  /** Type byte of the reply (of its outermost value). REPLY_NULL for RESP2's "$-1" and "*-1" too. */
  type = 0;
  /** Number of items of an outermost aggregate (a map's pairs count twice); 0 for others. */
  count = 0;
  /**
   * Number of values without parts in the reply, in order and at any depth; of a reply that is no aggregate, 1. Attributes are
   * passed over.
   */
  items = 0;
  /** Of each such value its type byte, */
  itemType = new Uint8Array(FIRST_ITEMS);
  /** where its text or payload begins (an offset into the bytes of the call that completed the reply), */
  itemOffset = new Float64Array(FIRST_ITEMS);
  /** and how long it is. A null has length -1. */
  itemLength = new Float64Array(FIRST_ITEMS);
  /** Least number of bytes that are still missing after REPLY_INCOMPLETE. */
  missing = 0;

  // State within a reply: bytes read, values still to come, and of those how many belong to attributes.
  private read = 0;
  private pending = 0;
  private skip = 0;
  private lineRead = 0;

  /** Forgets a half-read reply: for a new connection. */
  reset(): void {
    this.read = 0;
    this.pending = 0;
    this.skip = 0;
    this.lineRead = 0;
  }

  /** Whether the reply is an error. */
  get isError(): boolean {
    return this.type === REPLY_ERROR || this.type === REPLY_BULK_ERROR;
  }

  /** The value of item `i`, if it is an integer, as a number. */
  integerAt(u8: Uint8Array, i: number): number {
    let at = this.itemOffset[i];
    const end = at + this.itemLength[i];
    const negative = u8[at] === 45;
    if (negative || u8[at] === 43) at++;
    let value = 0;
    for (; at < end; at++) value = value * 10 + (u8[at] - 48);
    return negative ? -value : value;
  }

  /**
   * @param start the first byte of the reply, also when it is taken up again
   * @returns the offset behind the reply, REPLY_INCOMPLETE or REPLY_INVALID
   */
  parse(u8: Uint8Array, start: number, end: number): number {
    if (this.read === 0 && this.pending === 0) {
      this.pending = 1;
      this.items = 0;
      this.type = 0;
      this.count = 0;
    }
    while (this.pending > 0) {
      const next = this.parseValue(u8, start, start + this.read, end);
      if (next < 0) {
        if (next === REPLY_INVALID) this.reset();
        return next;
      }
      this.read = next - start;
      this.lineRead = 0;
    }
    const done = start + this.read;
    // Offsets were kept relative to the reply, whose bytes may have moved between calls.
    for (let i = 0; i < this.items; i++) this.itemOffset[i] += start;
    this.read = 0;
    return done;
  }

  /** Parses the head of one value, with its payload if it has no parts. */
  private parseValue(u8: Uint8Array, start: number, at: number, end: number): number {
    let cr = at + 1 + this.lineRead;
    while (cr < end && u8[cr] !== 13) cr++;
    if (cr + 1 >= end) {
      this.lineRead = Math.max(0, Math.min(cr, end - 1) - at - 1);
      this.missing = cr < end ? 1 : 2;
      return REPLY_INCOMPLETE;
    }
    const type = u8[at];
    const next = cr + 2;
    switch (type) {
      case REPLY_STATUS:
      case REPLY_ERROR:
      case REPLY_INTEGER:
      case REPLY_DOUBLE:
      case REPLY_BOOL:
      case REPLY_BIG_NUMBER:
        this.add(type, at + 1 - start, cr - at - 1);
        return next;
      case REPLY_NULL:
        this.add(type, at + 1 - start, -1);
        return next;
      case REPLY_BULK:
      case REPLY_BULK_ERROR:
      case REPLY_VERBATIM: {
        const length = parseLength(u8, at + 1, cr);
        if (length === REPLY_INVALID) return REPLY_INVALID;
        if (length < 0) {
          this.add(REPLY_NULL, at + 1 - start, -1);
          return next;
        }
        if (end - next < length + 2) {
          this.lineRead = cr - at - 1;
          this.missing = length + 2 - (end - next);
          return REPLY_INCOMPLETE;
        }
        this.add(type, next - start, length);
        return next + length + 2;
      }
      case REPLY_ARRAY:
      case REPLY_SET:
      case REPLY_PUSH:
      case REPLY_MAP:
      case ATTRIBUTE: {
        const length = parseLength(u8, at + 1, cr);
        if (length === REPLY_INVALID) return REPLY_INVALID;
        if (length < 0) this.add(REPLY_NULL, at + 1 - start, -1);
        else this.open(type, type === REPLY_MAP || type === ATTRIBUTE ? length * 2 : length);
        return next;
      }
      default:
        return REPLY_INVALID;
    }
  }

  private open(type: number, parts: number): void {
    if (type === ATTRIBUTE) {
      // The value that it describes is still to come.
      this.pending += parts;
      this.skip += parts;
      return;
    }
    this.pending += parts - 1;
    if (this.skip > 0) this.skip += parts - 1;
    else if (this.type === 0) {
      this.type = type;
      this.count = parts;
    }
  }

  private add(type: number, offset: number, length: number): void {
    this.pending--;
    if (this.skip > 0) {
      this.skip--;
      return;
    }
    if (this.type === 0) this.type = type;
    const i = this.items++;
    if (i === this.itemType.length) this.grow();
    this.itemType[i] = type;
    this.itemOffset[i] = offset;
    this.itemLength[i] = length;
  }

  private grow(): void {
    const size = this.itemType.length * 2;
    const types = new Uint8Array(size);
    types.set(this.itemType);
    const offsets = new Float64Array(size);
    offsets.set(this.itemOffset);
    const lengths = new Float64Array(size);
    lengths.set(this.itemLength);
    this.itemType = types;
    this.itemOffset = offsets;
    this.itemLength = lengths;
  }
}

/** @returns the length, -1 for a null, REPLY_INVALID for what is neither */
function parseLength(u8: Uint8Array, from: number, end: number): number {
  if (end === from || end - from > MAX_LENGTH_DIGITS) return REPLY_INVALID;
  if (u8[from] === 45) return end - from === 2 && u8[from + 1] === 49 ? -1 : REPLY_INVALID;
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = u8[at] - 48;
    if (digit < 0 || digit > 9) return REPLY_INVALID;
    value = value * 10 + digit;
  }
  return value;
}
