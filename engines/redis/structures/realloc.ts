/** What the original's realloc does to an allocation of size classes. */
import type { Heap } from './heap.ts';

/**
 * Gives an allocation the size class of `bytes`, keeping its first `keep` bytes (at most `bytes`). It stays where it is when the class
 * is the same.
 * @returns its offset
 * @throws ARENA_EXHAUSTED when it must grow and cannot, nothing changed; one that cannot shrink stays as it is
 */
export function reallocate(h: Heap, offset: number, keep: number, bytes: number): number {
  const allocator = h.allocator;
  const usable = allocator.usableSize(offset);
  if (allocator.sizeClass(bytes) === usable) return offset;
  if (bytes <= usable) {
    const smaller = allocator.alloc(bytes);
    if (smaller === 0) return offset;
    h.copy(offset, smaller, keep);
    allocator.free(offset);
    return smaller;
  }
  const larger = h.alloc(bytes);
  h.copy(offset, larger, keep);
  allocator.free(offset);
  return larger;
}
