import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { echoHandler, frame, frameHandler, loopNames, type RunningLoop, startLoop } from './support/loops.ts';

/** Connects, sends the pieces one by one, and collects `wanted` bytes. */
async function exchange(port: number, pieces: Uint8Array[], wanted: number): Promise<Buffer> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const received: Buffer[] = [];
  let count = 0;
  const all = new Promise<void>((resolve, reject) => {
    socket.on('data', (data) => {
      received.push(data);
      count += data.length;
      if (count >= wanted) resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${count} of ${wanted} bytes`)));
  });
  for (const piece of pieces) {
    await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
  }
  await all;
  const closed = new Promise<void>((resolve) => {
    socket.removeAllListeners('close');
    socket.once('close', () => resolve());
  });
  socket.destroy();
  await closed;
  return Buffer.concat(received);
}

describe.each(loopNames)('the %s loop', (name) => {
  let running: RunningLoop | null = null;
  afterEach(async () => {
    await running?.end();
    running = null;
  });

  it('sends back what comes', async () => {
    running = startLoop(name, echoHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    expect((await exchange(port, [Buffer.from('hello')], 5)).toString()).toBe('hello');
  });

  it('hands over a frame whole, wherever it is split', async () => {
    running = startLoop(name, frameHandler);
    const { port } = await running.loop.listenTcp('127.0.0.1', 0, 128);
    const bytes = Buffer.concat([frame(Buffer.from('abc')), frame(Buffer.alloc(0)), frame(Buffer.from('defghij'))]);
    for (let at = 1; at < bytes.length; at++) {
      const back = await exchange(port, [bytes.subarray(0, at), bytes.subarray(at)], bytes.length);
      expect(back.equals(bytes)).toBe(true);
    }
  });
});
