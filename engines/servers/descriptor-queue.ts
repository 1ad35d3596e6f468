/**
 * Descriptors on their way from one thread to another: a ring in the arena with one writer and one reader. A descriptor means the same in every
 * thread of a process, so its number is all that has to travel; the loop that gets it serves its socket from then on.
 */
import type { Memory } from '../ports.ts';

const PAGE_BYTES = 4_096;
/** Words before the entries: the reader's count, the writer's, and whether the reader is to stop. */
const HEADER_WORDS = 16;
const WORD_READ = 0;
const WORD_WRITTEN = 1;
const WORD_STOP = 2;
const ENTRY_WORDS = 4;

/** A new connection. Those above are the core's purposes of connections that change threads. */
export const FOR_COMMANDS = 0;
/** A socket for datagrams that all workers serve. */
export const FOR_DATAGRAMS = -1;

export class DescriptorQueue {
  /** What `take` has found. */
  fd = -1;
  listener = 0;
  purpose = 0;
  argument = 0;
  private readonly i32: Int32Array;
  private readonly header: number;
  private readonly mask: number;

  /** @param slots as given to `bytesFor` */
  constructor(memory: Memory, offset: number, slots: number) {
    this.i32 = memory.i32;
    this.header = offset >>> 2;
    this.mask = ringSize(slots) - 1;
  }

  /** Pages that a queue of so many entries takes; their content must be zero at the start. */
  static pagesFor(slots: number): number {
    return Math.ceil(((HEADER_WORDS + ringSize(slots) * ENTRY_WORDS) * 4) / PAGE_BYTES);
  }

  /** @returns false when the queue is full */
  put(fd: number, listener: number, purpose: number, argument: number): boolean {
    const { i32, header } = this;
    const written = i32[header + WORD_WRITTEN]!;
    if (((written - Atomics.load(i32, header + WORD_READ)) | 0) > this.mask) return false;
    const at = header + HEADER_WORDS + (written & this.mask) * ENTRY_WORDS;
    i32[at] = fd;
    i32[at + 1] = listener;
    i32[at + 2] = purpose;
    i32[at + 3] = argument;
    // The count is stored last and atomically: whoever sees it sees the entry.
    Atomics.store(i32, header + WORD_WRITTEN, (written + 1) | 0);
    return true;
  }

  /** Takes the next entry into the fields. @returns false when there is none */
  take(): boolean {
    const { i32, header } = this;
    const read = i32[header + WORD_READ]!;
    if (read === Atomics.load(i32, header + WORD_WRITTEN)) return false;
    const at = header + HEADER_WORDS + (read & this.mask) * ENTRY_WORDS;
    this.fd = i32[at]!;
    this.listener = i32[at + 1]!;
    this.purpose = i32[at + 2]!;
    this.argument = i32[at + 3]!;
    Atomics.store(i32, header + WORD_READ, (read + 1) | 0);
    return true;
  }

  /** Tells the reader that nothing more will come and that it is to end. */
  close(): void {
    Atomics.store(this.i32, this.header + WORD_STOP, 1);
  }

  get isClosed(): boolean {
    return Atomics.load(this.i32, this.header + WORD_STOP) === 1;
  }
}

function ringSize(slots: number): number {
  let size = 16;
  while (size < slots) size *= 2;
  return size;
}
