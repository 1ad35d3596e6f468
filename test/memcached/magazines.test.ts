/** Each thread keeps a free chunk of each class back; nobody goes short for that. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Locks } from '../../engines/memcached/locks.ts';
import { defaultSettings } from '../../engines/memcached/settings.ts';
import { SharedBlock } from '../../engines/memcached/shared-block.ts';
import { Slabs } from '../../engines/memcached/slabs.ts';
import { createArena } from '../../engines/memory/arena.ts';

const MEBIBYTE = 2 ** 20;
const ID = 5;
const THREADS = 2;

let first: Slabs;
let second: Slabs;
let dispatcher: Slabs;

beforeEach(() => {
  const memory = createArena({ byteLength: 32 * MEBIBYTE, shared: true });
  const settings = { ...defaultSettings(), maxBytes: MEBIBYTE, threads: THREADS };
  const make = (block: SharedBlock, thread: number): Slabs =>
    new Slabs(memory, block, new Locks(memory, block, true), settings, thread === THREADS, thread);
  const shared = new SharedBlock(memory, { role: 'dispatcher', threads: THREADS });
  dispatcher = make(shared, THREADS);
  const worker = (thread: number): Slabs =>
    make(new SharedBlock(memory, { role: 'worker', threads: THREADS, thread, block: shared.offset }), thread);
  first = worker(0);
  second = worker(1);
});

/** Takes all chunks of the class that there are. */
function drain(slabs: Slabs): number[] {
  const chunks: number[] = [];
  for (;;) {
    const chunk = slabs.alloc(ID);
    if (chunk === 0) return chunks;
    chunks.push(chunk);
  }
}

describe('A chunk that a thread keeps', () => {
  it('is its next one, while another thread gets one of the list', () => {
    const mine = first.alloc(ID);
    const theirs = second.alloc(ID);
    first.free(mine, ID);
    expect(second.alloc(ID)).not.toBe(mine);
    second.free(theirs, ID);
    expect(first.alloc(ID)).toBe(mine);
    expect(second.alloc(ID)).toBe(theirs);
  });

  it('counts as free, and a second one goes to the list', () => {
    const all = first.chunksPerPage[ID]!;
    const chunks = [first.alloc(ID), first.alloc(ID), first.alloc(ID)];
    expect(first.freeChunks(ID)).toBe(all - 3);
    for (const chunk of chunks) first.free(chunk, ID);
    expect([first, second, dispatcher].map((slabs) => slabs.freeChunks(ID))).toEqual([all, all, all]);
    expect(dispatcher.keptChunks(ID)).toEqual([chunks[0]]);
    expect(dispatcher.usedCount(ID)).toBe(0);
  });

  it('is given to whoever finds none elsewhere, before a page is taken', () => {
    const chunks = drain(first);
    expect(chunks.length).toBe(first.chunksPerPage[ID]);
    first.free(chunks[7]!, ID);
    expect(second.alloc(ID)).toBe(chunks[7]);
    first.free(chunks[8]!, ID);
    expect(dispatcher.alloc(ID)).toBe(chunks[8]);
    expect(first.alloc(ID)).toBe(0);
    expect(dispatcher.pageCount(ID)).toBe(1);
  });

  it('is of one class only', () => {
    const chunk = first.alloc(ID);
    first.free(chunk, ID);
    first.free(first.alloc(ID + 1), ID + 1);
    expect(first.alloc(ID)).toBe(chunk);
  });

  it('goes back to the list when magazines are closed, and none is kept until they are open', () => {
    const [mine, another] = [first.alloc(ID), first.alloc(ID)];
    first.free(mine, ID);
    dispatcher.closeMagazinesNolock(ID);
    expect(dispatcher.freeChunk(ID)).toBe(mine);
    first.free(another, ID);
    expect(dispatcher.freeChunk(ID)).toBe(another);
    expect(dispatcher.keptChunks(ID)).toEqual([]);
    expect(second.alloc(ID)).toBe(another);
    dispatcher.openMagazinesNolock(ID);
    second.free(another, ID);
    expect(dispatcher.keptChunks(ID)).toEqual([another]);
    expect(dispatcher.freeChunk(ID)).toBe(mine);
  });

  it('is never kept by the thread that serves no clients', () => {
    const chunk = dispatcher.alloc(ID);
    dispatcher.free(chunk, ID);
    expect(dispatcher.keptChunks(ID)).toEqual([]);
    expect(dispatcher.freeChunk(ID)).toBe(chunk);
  });
});
