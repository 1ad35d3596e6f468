/** Is this a listpack? For bytes that came from outside, and for tests. */
import type { Heap } from './heap.ts';
import {
  LP_COUNT_UNKNOWN,
  LP_EOF,
  LP_HEADER_BYTES,
  lpBacklenSize,
  lpEncodedSize,
  lpReadBacklen,
} from './listpack-element.ts';

/** Number of bytes that must be there to know an element's length; 0: its first byte stands for nothing. */
function headBytes(head: number): number {
  if (head < 0xe0) return 1;
  if (head < 0xf0) return 2;
  if (head === 0xf0) return 5;
  return head <= 0xf4 || head === LP_EOF ? 1 : 0;
}

/**
 * Checks one element of untrusted bytes.
 * @param end offset of the listpack's last byte, which holds LP_EOF
 * @returns the offset behind it, or 0 when it is broken
 */
function checkElement(h: Heap, p: number, end: number): number {
  const head = headBytes(h.u8[p]);
  if (head === 0 || p + head > end) return 0;
  const size = lpEncodedSize(h, p);
  const whole = size + lpBacklenSize(size);
  if (p + whole > end) return 0;
  const backwards = lpReadBacklen(h.u8, p + whole - 1);
  return backwards >= 0 && backwards + lpBacklenSize(backwards) === whole ? p + whole : 0;
}

/**
 * Checks `size` untrusted bytes at `lp` (at least readable, 4-byte aligned).
 * @param deep also every element; otherwise only the header and the end byte
 * @param element is given every element's offset, which can be read by then, and says whether it will do
 */
export function lpValidateIntegrity(
  h: Heap,
  lp: number,
  size: number,
  deep: boolean,
  element: ((p: number) => boolean) | null = null,
): boolean {
  if (size < LP_HEADER_BYTES + 1 || h.u32[lp >>> 2] !== size) return false;
  const end = lp + size - 1;
  if (h.u8[end] !== LP_EOF) return false;
  if (!deep) return true;
  let count = 0;
  let p = lp + LP_HEADER_BYTES;
  while (h.u8[p] !== LP_EOF) {
    const next = checkElement(h, p, end);
    if (next === 0 || (element !== null && !element(p))) return false;
    p = next;
    count++;
  }
  if (p !== end) return false;
  const noted = h.u16[(lp + 4) >>> 1];
  return noted === LP_COUNT_UNKNOWN || noted === count;
}

/** Checks a listpack of our own. @throws Error when it is broken */
export function lpVerify(h: Heap, lp: number): void {
  const bytes = h.u32[lp >>> 2];
  if (bytes > h.usable(lp)) throw new Error(`Broken listpack at ${lp}: ${bytes} bytes exceed its allocation`);
  if (!lpValidateIntegrity(h, lp, bytes, true)) throw new Error(`Broken listpack at ${lp}`);
}
