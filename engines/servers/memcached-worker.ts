/** Entry of a worker thread of the Memcached-like server: a loop over the connections that the dispatcher hands to it. */
import { parentPort, workerData } from 'node:worker_threads';
import { addressOf, exitProcess, purgePages } from '../io/system.ts';
import { wakeLoop } from '../io/waker.ts';
import { createArena } from '../memory/arena.ts';
import { openArenaBuffer } from '../memory/arena-buffer.ts';
import { DescriptorQueue, FOR_COMMANDS, FOR_DATAGRAMS } from './descriptor-queue.ts';
import { log, type MemcachedThread, makeThread, signalShutdown } from './memcached-thread.ts';
import { EX_SOFTWARE, QUEUE_SLACK, type WorkerStart } from './memcached-threads.ts';

/** A thread that has failed gives the dispatcher so long to end the process in good order. */
const FAILED_WAIT_MS = 2_000;

const start = workerData as WorkerStart;
const { settings, dispatcher } = start;

function fail(error: unknown): never {
  log(`Worker thread ${start.placement.thread} has failed: ${(error as Error).stack ?? error}`);
  parentPort?.postMessage('failed');
  wakeLoop(dispatcher);
  // It may have held locks that the others wait for, also the dispatcher. Nobody is to see what it has left half done.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FAILED_WAIT_MS);
  exitProcess(EX_SOFTWARE);
}

function makeWorker(): { thread: MemcachedThread; inbox: DescriptorQueue } {
  const bytes = openArenaBuffer(start.handle);
  const arena = createArena({ bytes, shared: true, addressOf, purge: purgePages });
  const slots = settings.maxConns + QUEUE_SLACK;
  const inbox = new DescriptorQueue(arena, start.inbox, slots);
  const outbox = new DescriptorQueue(arena, start.outbox, slots);
  const thread = makeThread({
    arena,
    settings,
    placement: start.placement,
    eventLoop: 'epoll',
    maxConnections: settings.maxConns,
    hooks: {
      onShutdown: signalShutdown,
      wakeBackground: () => wakeLoop(dispatcher),
      handOver(conn, purpose, argument) {
        const listener = thread.core.connections.listener[conn]!;
        thread.loop.detach!(conn, (fd) => {
          outbox.put(fd, listener, purpose, argument);
          wakeLoop(dispatcher);
        });
      },
    },
  });
  return { thread, inbox };
}

function serveNew({ loop }: MemcachedThread, inbox: DescriptorQueue): void {
  while (inbox.take()) {
    const { fd, listener, purpose } = inbox;
    if (purpose === FOR_DATAGRAMS) loop.adoptUdp!(fd, listener);
    else if (purpose === FOR_COMMANDS) loop.adopt!(fd, listener, settings.socketPath ?? '');
  }
  if (inbox.isClosed) loop.stop();
}

try {
  const { thread, inbox } = makeWorker();
  const { loop } = thread;
  loop.onWake = () => serveNew(thread, inbox);
  parentPort!.postMessage(loop.waker);
  await loop.run();
  loop.destroy();
} catch (error) {
  fail(error);
}
