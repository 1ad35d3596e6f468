import { Unconnected } from '../../engines/base/unconnected.ts';
import type { Memory, Transport } from '../../engines/ports.ts';

const OUTPUT_PAGES = 16;

/** A transport without connections: takes all output and counts it. */
export class Sink extends Unconnected implements Transport {
  readonly memory: Memory;
  bytes = 0;
  readonly #room: number;
  constructor(memory: Memory) {
    super();
    this.memory = memory;
    this.#room = memory.takePages(OUTPUT_PAGES);
  }
  reserve(): number {
    return this.#room;
  }
  commit(_conn: number, end: number): void {
    this.bytes += end - this.#room;
  }
  lend(_conn: number, _offset: number, length: number): void {
    this.bytes += length;
  }
  /** @returns bytes since the last call */
  take(): number {
    const { bytes } = this;
    this.bytes = 0;
    return bytes;
  }
}
