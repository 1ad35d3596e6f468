/** Digests of data by the original's recipe: 20 bytes into which SHA-1 hashes are mixed with or without regard to order. */
import { sha1 } from '../sha1.ts';

export const DIGEST_BYTES = 20;

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

export class Digest {
  readonly bytes = new Uint8Array(DIGEST_BYTES);

  /** Order does not matter: the hash of the bytes is xored in. */
  xor(bytes: Uint8Array, offset: number, length: number): void {
    const hash = sha1(bytes, offset, length);
    for (let i = 0; i < DIGEST_BYTES; i++) this.bytes[i]! ^= hash[i]!;
  }

  /** Order matters: the digest so far is hashed again. */
  mix(bytes: Uint8Array, offset: number, length: number): void {
    this.xor(bytes, offset, length);
    this.bytes.set(sha1(this.bytes, 0, DIGEST_BYTES));
  }

  xorText(text: string): void {
    const bytes = latin1(text);
    this.xor(bytes, 0, bytes.length);
  }

  mixText(text: string): void {
    const bytes = latin1(text);
    this.mix(bytes, 0, bytes.length);
  }

  /** Xors the hash of another digest in. */
  xorDigest(other: Digest): void {
    this.xor(other.bytes, 0, DIGEST_BYTES);
  }

  hex(): string {
    return Array.from(this.bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}
