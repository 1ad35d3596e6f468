/**
 * A load of prepared requests whose replies have a known length: for what the raw driver does not send (gets of 100 keys, meta commands). Every
 * connection sends a batch, waits for all of its reply and sends the next. Only the server's CPU is measured with it, so the
 * client may be simple.
 */
import { once } from 'node:events';
import net from 'node:net';

export interface FixedBatch {
  readonly request: Buffer;
  readonly replyBytes: number;
}

export interface FixedLoad {
  readonly port: number;
  readonly connections: number;
  /** Sent in turns. */
  readonly batches: readonly FixedBatch[];
  /** Batches in all. */
  readonly count: number;
}

const LOAD_TIMEOUT_MS = 120_000;

/** @returns seconds from the first byte to the last. @throws Error when a reply is of another length or the server hangs up */
export async function runFixedLoad({ port, connections, batches, count }: FixedLoad): Promise<number> {
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      await once(socket, 'connect');
      return socket;
    }),
  );
  const started = performance.now();
  let sent = 0;
  try {
    await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<void>((resolve, reject) => {
            let due = 0;
            const next = (): void => {
              if (sent >= count) {
                resolve();
                return;
              }
              const batch = batches[sent++ % batches.length]!;
              due = batch.replyBytes;
              socket.write(batch.request);
            };
            socket.setTimeout(LOAD_TIMEOUT_MS, () =>
              reject(new Error(`the server keeps back ${due} bytes of a reply`)),
            );
            socket.on('error', reject);
            socket.on('close', () => reject(new Error('the server closed a connection')));
            socket.on('data', (data) => {
              due -= data.length;
              if (due < 0) reject(new Error(`a reply has ${-due} bytes too many: ${data.toString('latin1', 0, 200)}`));
              else if (due === 0) next();
            });
            next();
          }),
      ),
    );
    return (performance.now() - started) / 1_000;
  } finally {
    for (const socket of sockets) {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
    }
  }
}
