/** A server that tells how signals reach it. Runs from dist/. Arguments: loop name, idle | busy | slow. */
import { writeSync } from 'node:fs';

const at = (path) => new URL(`../../../dist/engines/${path}`, import.meta.url).href;
const { createEventLoop } = await import(at('io/create-event-loop.js'));
const { addressOf, purgePages } = await import(at('io/system.js'));
const { createArena } = await import(at('memory/arena.js'));
const { createJemalloc } = await import(at('memory/jemalloc.js'));
const { listenForShutdown } = await import(at('servers/signals.js'));

const [, , name, mode] = process.argv;
const say = (text) => writeSync(1, `${text}\n`);
const memory = createArena({ byteLength: 2 ** 28, addressOf, purge: purgePages });
const loop = createEventLoop(name, createJemalloc(memory, { classes: 'debian' }));
let lastTurn = performance.now();
loop.setHandler({
  onOpen() {},
  onInput: (_conn, _start, end) => end,
  onDirect() {},
  onClose() {},
  onReleased() {},
  onTurn() {
    lastTurn = performance.now();
    // Busy: no turn ever waits.
    if (mode === 'busy') loop.deadlineUs = loop.nowUs();
  },
});
listenForShutdown({
  onSignal(signal) {
    say(`handled after ${mode === 'busy' ? (performance.now() - lastTurn).toFixed(3) : 0}`);
    say(`stopped by ${signal}`);
    if (mode !== 'slow') loop.stop();
  },
  onInsist: () => say('insisted'),
});
await loop.listenTcp('127.0.0.1', 0, 16);
say('up');
await loop.run();
loop.destroy();
