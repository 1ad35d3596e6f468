/** The hash of ACL passwords. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { sha256Hex } from '../../../engines/redis/sha256.ts';

it('hashes texts of every length up to several blocks as the platform does', () => {
  for (let length = 0; length < 300; length++) {
    const text = String.fromCharCode(...Array.from({ length }, (_, i) => (i * 37 + length * 11) & 255));
    const wanted = createHash('sha256').update(Buffer.from(text, 'latin1')).digest('hex');
    expect(sha256Hex(text), `length ${length}`).toBe(wanted);
  }
});
