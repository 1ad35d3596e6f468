/** Makes DUMP payloads by hand, with values in the encodings of older versions too. */
import { crc64 } from '../../../engines/base/crc64.ts';

/** A payload with a right footer around any bytes. */
export function payload(body: string): string {
  const bytes = Buffer.from(`${body}\x0a\0`, 'latin1');
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(crc64(bytes));
  return Buffer.concat([bytes, sum]).toString('latin1');
}

const latin1 = (bytes: readonly number[] | Buffer): string => Buffer.from(bytes).toString('latin1');

export function little(value: number | bigint, bytes: number): string {
  const all = Buffer.alloc(8);
  all.writeBigInt64LE(BigInt(value));
  return latin1(all.subarray(0, bytes));
}

/** A string of a payload: length and bytes. */
export function rdbString(text: string): string {
  if (text.length < 64) return String.fromCharCode(text.length) + text;
  return `\x80${latin1([text.length >>> 24, (text.length >>> 16) & 255, (text.length >>> 8) & 255, text.length & 255])}${text}`;
}

/** An element of a ziplist, without the length of the one before. */
function ziplistElement(element: string | bigint): string {
  if (typeof element === 'string') {
    const length = element.length;
    if (length < 64) return String.fromCharCode(length) + element;
    if (length < 16_384) return String.fromCharCode(0x40 | (length >> 8), length & 255) + element;
    return `\x80${latin1([0, (length >>> 16) & 255, (length >>> 8) & 255, length & 255])}${element}`;
  }
  if (element >= 0n && element <= 12n) return String.fromCharCode(0xf1 + Number(element));
  for (const [bits, head, bytes] of [
    [8, '\xfe', 1],
    [16, '\xc0', 2],
    [24, '\xf0', 3],
    [32, '\xd0', 4],
  ] as const) {
    if (BigInt.asIntN(bits, element) === element) return head + little(element, bytes);
  }
  return `\xe0${little(element, 8)}`;
}

export function ziplist(elements: readonly (string | bigint)[]): string {
  let body = '';
  let previous = 0;
  let last = 10;
  for (const element of elements) {
    last = 10 + body.length;
    const one =
      (previous < 254 ? String.fromCharCode(previous) : `\xfe${little(previous, 4)}`) + ziplistElement(element);
    body += one;
    previous = one.length;
  }
  return `${little(11 + body.length, 4)}${little(last, 4)}${little(elements.length, 2)}${body}\xff`;
}

export function zipmap(pairs: readonly (readonly [string, string])[]): string {
  const length = (text: string) =>
    text.length < 254 ? String.fromCharCode(text.length) : `\xfe${little(text.length, 4)}`;
  const body = pairs.map(([key, value]) => `${length(key)}${key}${length(value)}\x02${value}??`).join('');
  return `${String.fromCharCode(Math.min(254, pairs.length))}${body}\xff`;
}
