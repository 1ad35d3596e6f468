/** Counts by key prefix (`stats detail on`): what stands before the first delimiter (-D) of a key. Only while it is switched on. */

interface PrefixCounts {
  get: number;
  hit: number;
  set: number;
  del: number;
}

export class PrefixStats {
  readonly #delimiter: number;
  readonly #counts = new Map<string, PrefixCounts>();

  constructor(delimiter: string) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  #of(u8: Uint8Array, at: number, length: number): PrefixCounts | null {
    let end = 0;
    while (end < length && u8[at + end] !== this.#delimiter) end++;
    // A key without the delimiter belongs to no prefix.
    if (end === length) return null;
    let prefix = '';
    for (let i = 0; i < end; i++) prefix += String.fromCharCode(u8[at + i]!);
    let counts = this.#counts.get(prefix);
    if (counts === undefined) this.#counts.set(prefix, (counts = { get: 0, hit: 0, set: 0, del: 0 }));
    return counts;
  }

  recordGet(u8: Uint8Array, at: number, length: number, isHit: boolean): void {
    const counts = this.#of(u8, at, length);
    if (counts === null) return;
    counts.get++;
    if (isHit) counts.hit++;
  }

  recordSet(u8: Uint8Array, at: number, length: number): void {
    const counts = this.#of(u8, at, length);
    if (counts !== null) counts.set++;
  }

  recordDelete(u8: Uint8Array, at: number, length: number): void {
    const counts = this.#of(u8, at, length);
    if (counts !== null) counts.del++;
  }

  clear(): void {
    this.#counts.clear();
  }

  /** The dump's text, with its END line. */
  dump(): string {
    let text = '';
    for (const [prefix, c] of this.#counts) {
      text += `PREFIX ${prefix} get ${c.get} hit ${c.hit} set ${c.set} del ${c.del}\r\n`;
    }
    return `${text}END\r\n`;
  }
}
