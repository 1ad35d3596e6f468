/** Fills a larger array with the content of the one that it replaces. @returns the larger one */
export function copyInto<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(larger: T, old: T): T {
  larger.set(old as never);
  return larger;
}
