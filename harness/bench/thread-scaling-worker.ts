/** A worker thread of thread-scaling.ts: fills the cache with its keys, then executes so many commands whenever it is told. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { createRandom } from '../../engines/base/random.ts';
import { Core, type CoreHooks } from '../../engines/memcached/core.ts';
import type { Settings } from '../../engines/memcached/settings.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { type ArenaHandle, openArenaBuffer } from '../../engines/memory/arena-buffer.ts';
import type { Clock } from '../../engines/ports.ts';
import { KEYS, VALUE_BYTES } from './bench-pairs.ts';
import { benchKey } from './bench-servers.ts';
import { Sink } from './sink.ts';

export interface ScalingWork {
  readonly handle: ArenaHandle;
  readonly settings: Settings;
  readonly threads: number;
  readonly thread: number;
  /** Offset of the shared block. */
  readonly block: number;
  readonly operations: number;
}

export const standingClock: Clock = { wallMs: () => 1_800_000_000_000, monoUs: () => 1e6 };
export const quietHooks: CoreHooks = {
  log: () => {},
  onShutdown: () => {},
  usage: () => ({ pid: 0, userSeconds: 0, systemSeconds: 0 }),
};

const INPUT_PAGES = 4;
const BATCHES = 1_000;
const BATCH = 10;

function serve(work: ScalingWork): void {
  const memory = createArena({ bytes: openArenaBuffer(work.handle), shared: true });
  const core = new Core(memory, standingClock, work.settings, quietHooks, {
    role: 'worker',
    threads: work.threads,
    thread: work.thread,
    block: work.block,
  });
  const sink = new Sink(memory);
  core.setTransport(sink);
  core.onOpen(0, 0);
  const input = memory.takePages(INPUT_PAGES);
  const feed = (bytes: Uint8Array): number => {
    memory.u8.set(bytes, input);
    const end = input + bytes.length;
    if (core.onInput(0, input, end) !== end) throw new Error('Cannot measure: a request was left over');
    core.onTurn();
    return sink.take();
  };
  const value = 'x'.repeat(VALUE_BYTES);
  const set = (key: string): string => `set ${key} 0 0 ${VALUE_BYTES}\r\n${value}\r\n`;
  for (let i = 0; i < KEYS; i++) feed(Buffer.from(set(benchKey(i))));
  const random = createRandom(`scaling ${work.thread}`);
  const batches = Array.from({ length: BATCHES }, () => {
    let text = set(benchKey(random.nextBelow(KEYS)));
    for (let i = 1; i < BATCH; i++) text += `get ${benchKey(random.nextBelow(KEYS))}\r\n`;
    return Buffer.from(text, 'latin1');
  });
  const replyBytes =
    'STORED\r\n'.length + (BATCH - 1) * `VALUE ${benchKey(0)} 0 ${VALUE_BYTES}\r\n${value}\r\nEND\r\n`.length;
  parentPort!.on('message', () => {
    for (let done = 0, i = 0; done < work.operations; done += BATCH, i = (i + 1) % BATCHES) {
      const got = feed(batches[i]!);
      if (got !== replyBytes) throw new Error(`Cannot measure: ${got} bytes were answered, not ${replyBytes}`);
    }
    parentPort!.postMessage('done');
  });
  parentPort!.postMessage('ready');
}

if (!isMainThread && workerData !== null) serve(workerData as ScalingWork);
