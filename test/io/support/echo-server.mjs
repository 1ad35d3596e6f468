/** An epoll echo server from dist/; prints its port. Ends with SIGTERM. Also the worker of worker-loop.mjs. */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort } from 'node:worker_threads';

const at = (path) => new URL(`../../../dist/engines/${path}`, import.meta.url).href;
const { createEventLoop } = await import(at('io/create-event-loop.js'));
const { addressOf, purgePages } = await import(at('io/system.js'));
const { createArena } = await import(at('memory/arena.js'));
const { createJemalloc } = await import(at('memory/jemalloc.js'));

const memory = createArena({ byteLength: 2 ** 28, addressOf, purge: purgePages });
const loop = createEventLoop('epoll', createJemalloc(memory, { classes: 'debian' }));
loop.setHandler({
  onOpen() {},
  onInput(conn, start, end) {
    const offset = loop.reserve(conn, end - start);
    memory.u8.copyWithin(offset, start, end);
    loop.commit(conn, offset + end - start);
    return end;
  },
  onDirect() {},
  onClose() {},
  onReleased() {},
  onTurn() {},
});
const { port } = await loop.listenTcp('127.0.0.1', 0, 511);
if (isMainThread) {
  process.on('SIGTERM', () => loop.stop());
  writeSync(1, `${port}\n`);
} else {
  loop.onWake = () => parentPort.postMessage('woken');
  parentPort.on('message', () => loop.stop());
  parentPort.postMessage({ port, waker: loop.waker });
}
await loop.run();
loop.destroy();
if (!isMainThread) {
  parentPort.postMessage('stopped');
  parentPort.close();
}
