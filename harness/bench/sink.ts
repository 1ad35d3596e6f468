import type { Memory, Transport } from '../../engines/ports.ts';

const OUTPUT_PAGES = 16;

/** A transport without connections: takes all output and counts it. */
export class Sink implements Transport {
  readonly memory: Memory;
  bytes = 0;
  readonly #room: number;
  constructor(memory: Memory) {
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
  outputBytes = (): number => 0;
  outputMemory = (): number => 0;
  outputChunks = (): number => 0;
  inputBytes = (): number => 0;
  inputCapacity = (): number => 0;
  readInto(): void {}
  pause(): void {}
  resume(): void {}
  yieldTurn(): void {}
  close(): void {}
  peerName = (): string => '127.0.0.1:1';
  localName = (): string => '127.0.0.1:2';
  descriptor = (): number => -1;
  /** @returns bytes since the last call */
  take(): number {
    const { bytes } = this;
    this.bytes = 0;
    return bytes;
  }
}
