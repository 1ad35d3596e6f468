/** Is this a node of a stream? For bytes that came from outside, and for tests. */
import type { Heap } from '../structures/heap.ts';
import { parseInt64 } from '../structures/int64.ts';
import { lpGet, lpSkip, lpStringLength, lpStringOffset, lpValidateIntegrity } from '../structures/listpack.ts';
import { LP_COUNT_UNKNOWN, LP_EOF, LP_HEADER_BYTES } from '../structures/listpack-element.ts';
import { lpInteger, STREAM_ITEM_SAME_FIELDS } from '../structures/stream.ts';

/** Where the check goes on, and whether all so far was right. */
let at = 0;
let sound = false;

/** Reads the next element, which must be an integer. */
function integer(h: Heap): number {
  if (!sound || h.u8[at] === LP_EOF) {
    sound = false;
    return 0;
  }
  const isText = lpGet(h, at);
  if (isText && !parseInt64(h.u8, lpStringOffset, lpStringLength)) sound = false;
  const value = sound ? lpInteger(h, at) : 0;
  at = lpSkip(h, at);
  return value;
}

/** Steps over elements, of which there must be so many. */
function skip(h: Heap, count: number): void {
  if (count < 0) sound = false;
  for (let i = 0; i < count && sound; i++) {
    if (h.u8[at] === LP_EOF) sound = false;
    else at = lpSkip(h, at);
  }
}

/**
 * Checks `size` untrusted bytes at `lp` as the original does when it is told to sanitize payloads, and that no number of fields is
 * negative. A wrong count of elements in the header, which the original does not look at, is set right.
 */
export function streamNodeIsSound(h: Heap, lp: number, size: number): boolean {
  if (size < LP_HEADER_BYTES + 1) return false;
  const noted = h.u16[(lp + 4) >>> 1];
  h.u16[(lp + 4) >>> 1] = LP_COUNT_UNKNOWN;
  let elements = 0;
  const whole = lpValidateIntegrity(h, lp, size, true, () => {
    elements++;
    return true;
  });
  h.u16[(lp + 4) >>> 1] = noted === LP_COUNT_UNKNOWN ? noted : Math.min(elements, LP_COUNT_UNKNOWN);
  if (!whole) return false;
  at = lp + LP_HEADER_BYTES;
  sound = true;
  const entries = integer(h) + integer(h);
  const masterFields = integer(h);
  skip(h, masterFields);
  if (integer(h) !== 0) return false;
  if (entries < 0) return false;
  for (let i = 0; i < entries && sound; i++) {
    const flags = integer(h);
    integer(h);
    integer(h);
    let fields = masterFields;
    let others = 3;
    if ((flags & STREAM_ITEM_SAME_FIELDS) === 0) {
      fields = integer(h);
      skip(h, fields);
      others += fields + 1;
    }
    skip(h, fields);
    if (integer(h) !== fields + others) return false;
  }
  return sound && h.u8[at] === LP_EOF;
}
