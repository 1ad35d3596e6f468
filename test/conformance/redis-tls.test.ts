/** TLS: our server process spoken to by redis-cli, by Node's own sockets and by two client libraries. Certificates are made for each run. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { ResultDocument } from '../../harness/result.ts';
import { freePort } from '../support/ports.ts';
import { describeReal } from '../support/real.ts';
import { embeddedCommand, type StartedServer, startServer } from '../support/redis-pair.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 5_000;
const SCENARIO = `title: TLS
question: Can a server be measured through TLS?
targets: [embedded-redis]
driver: ioredis
dataset: { keys: 500, keyPrefix: "key:", keyBytes: 24, valueSize: { kind: fixed, bytes: 100 } }
popularity: zipf 0.99
mix: { get: 90%, set: 10% }
connections: 4
arrival: poisson 500/s
warmUp: 0ms
duration: 500ms
interval: 100ms
repetitions: 1
`;

function openssl(folder: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
}

/** Authorities "ca" and "other"; of the first a server's, a client's and an expired certificate, of the second a client's. */
function makeCertificates(folder: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  for (const name of ['ca', 'other']) {
    openssl(folder, 'req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`);
  }
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const sign = (name: string, authority: string, days: string) => {
    openssl(folder, 'req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const by = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
    openssl(
      folder,
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...by,
      '-days',
      days,
      '-extfile',
      'names',
      '-out',
      `${name}.crt`,
    );
  };
  sign('server', 'ca', '2');
  sign('renewed', 'ca', '2');
  sign('client', 'ca', '2');
  sign('stranger', 'other', '2');
  // An end before the beginning: it has never been valid.
  sign('expired', 'ca', '-1');
  openssl(folder, 'pkey', '-in', 'server.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.key');
}

describeReal(['redis-cli', 'openssl'], 'a server with a TLS port', () => {
  let folder = '';
  let server: StartedServer | null = null;
  let port = 0;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cachelab-tls-'));
    makeCertificates(folder);
  });
  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true });
  });
  afterEach(async () => {
    await server?.stop();
    server = null;
  });

  const at = (name: string): string => join(folder, name);
  const pem = (name: string): Buffer => readFileSync(at(name));

  async function start(...options: string[]): Promise<void> {
    port = await freePort();
    server = await startServer(embeddedCommand(), [
      ...['--tls-port', String(port), '--tls-cert-file', at('server.crt'), '--tls-key-file', at('server.key')],
      ...['--tls-ca-cert-file', at('ca.crt'), '--loglevel', 'verbose', ...options],
    ]);
  }

  /** Connects, says PING and tells the answer or the error. */
  function ping(options: tls.ConnectionOptions): Promise<string> {
    return new Promise((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca: pem('ca.crt'), ...options });
      const end = (text: string) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(text);
      };
      const timer = setTimeout(() => end('no answer'), TIMEOUT_MS);
      socket.on('error', (error: NodeJS.ErrnoException) => end(`error ${error.code}`));
      socket.on('close', () => end('closed'));
      socket.on('data', (data) => end(data.toString().trim()));
      socket.write('PING\r\n');
    });
  }

  const asClient = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) });

  it('wants a certificate of its authority from every client, as it is by default', async () => {
    await start();
    expect(await ping(asClient('client'))).toBe('+PONG');
    expect(await ping({})).toMatch(/^(error|closed)/);
    expect(await ping(asClient('stranger'))).toMatch(/^(error|closed)/);
    expect(await ping(asClient('expired'))).toMatch(/^(error|closed)/);
    expect(server!.output()).toContain('Error accepting a client connection: ');
    expect(server!.output()).toContain('The event loop is libuv, as tls-port is set');
    // Whoever speaks plainly is not heard.
    const plain = net.connect(port, '127.0.0.1');
    const heard: Buffer[] = [];
    plain.on('data', (data) => heard.push(data));
    plain.on('error', () => {});
    plain.write('PING\r\n');
    await new Promise<void>((resolve) => plain.once('close', () => resolve()));
    expect(Buffer.concat(heard).toString()).not.toContain('PONG');
    expect(await ping(asClient('client'))).toBe('+PONG');
  });

  it('can do without certificates of clients, or check those that are shown', async () => {
    await start('--tls-auth-clients', 'no');
    expect(await ping({})).toBe('+PONG');
    await server!.stop();
    await start('--tls-auth-clients', 'optional');
    expect(await ping({})).toBe('+PONG');
    expect(await ping(asClient('client'))).toBe('+PONG');
    expect(await ping(asClient('stranger'))).toMatch(/^(error|closed)/);
  });

  it('is refused by clients who trust another authority', async () => {
    await start('--tls-auth-clients', 'no');
    expect(await ping({ ca: pem('other.crt') })).toMatch(/^error (UNABLE|SELF|DEPTH)/);
  });

  it('speaks the versions and ciphers it is told to', async () => {
    await start('--tls-auth-clients', 'no', '--tls-protocols', 'TLSv1.2');
    expect(await ping({ maxVersion: 'TLSv1.2' })).toBe('+PONG');
    expect(await ping({ minVersion: 'TLSv1.3' })).toMatch(/^error/);
    await server!.stop();
    await start('--tls-auth-clients', 'no', '--tls-ciphersuites', 'TLS_AES_128_GCM_SHA256');
    expect(await ping({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' })).toBe('+PONG');
    expect(await ping({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' })).toMatch(/^error/);
  });

  it('reads a locked key, and says what is wrong before it ends', async () => {
    const key = ['--tls-key-file', at('locked.key')];
    await start('--tls-auth-clients', 'no', ...key, '--tls-key-file-pass', 'secret');
    expect(await ping({})).toBe('+PONG');
    await server!.stop();
    await expect(start(...key)).rejects.toThrow(/Failed to load private key: .*locked\.key/);
    await expect(start('--tls-cert-file', at('nope'))).rejects.toThrow(
      /nope: No such file[\s\S]*Failed to configure TLS/,
    );
    await expect(start('--tls-ca-cert-file', '')).rejects.toThrow('Either tls-ca-cert-file or tls-ca-cert-dir');
    await expect(start('--tls-protocols', 'SSLv3')).rejects.toThrow('Invalid tls-protocols');
    await expect(start('--event-loop', 'epoll')).rejects.toThrow('Cannot serve TLS');
  });

  it('gets a new certificate by CONFIG SET, all or nothing', async () => {
    await start('--tls-auth-clients', 'no');
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca: pem('ca.crt') }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.once('error', reject);
      });
    expect(await subject()).toBe('server');
    const admin = await server!.connect();
    const set = (cert: string, key: string) =>
      admin.command('CONFIG', 'SET', 'tls-cert-file', at(cert), 'tls-key-file', at(key));
    expect(await set('renewed.crt', 'server.key')).toMatchObject({
      message: expect.stringContaining('Unable to update TLS configuration. Check server logs.'),
    });
    expect(await subject()).toBe('server');
    expect(await set('renewed.crt', 'renewed.key')).toBe('OK');
    expect(await subject()).toBe('renewed');
    await admin.close();
  });

  it('serves redis-cli and ioredis, small and large values', async () => {
    await start();
    const options = ['-p', String(port), '--tls', '--cacert', at('ca.crt')];
    const mine = ['--cert', at('client.crt'), '--key', at('client.key')];
    expect((await run('redis-cli', [...options, ...mine, 'SET', 'a', 'b'])).stdout).toBe('OK\n');
    const failed = await run('redis-cli', [...options, 'GET', 'a']).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
    expect(failed).not.toContain('b\n');
    const redis = new Redis({ port, tls: { ca: pem('ca.crt'), servername: 'localhost', ...asClient('client') } });
    try {
      expect(await redis.get('a')).toBe('b');
      const large = Buffer.alloc(3_000_000, 'xyz');
      await redis.set('large', large);
      expect((await redis.getBuffer('large'))?.equals(large)).toBe(true);
      const replies = await redis.pipeline(Array.from({ length: 2_000 }, (_, i) => ['incrby', 'n', String(i)])).exec();
      expect(replies?.at(-1)?.[1]).toBe((2_000 * 1_999) / 2);
      const subscriber = redis.duplicate();
      const message = new Promise((resolve) => subscriber.once('message', (_channel, text) => resolve(text)));
      await subscriber.subscribe('news');
      await redis.publish('news', 'hello');
      expect(await message).toBe('hello');
      subscriber.disconnect();
    } finally {
      redis.disconnect();
    }
  });

  it('says farewell, keeps what is waiting for slow readers, and bears clients that vanish', async () => {
    await start('--tls-auth-clients', 'no');
    const admin = await server!.connect();
    await admin.command('SET', 'large', 'x'.repeat(20_000_000));
    const connect = () =>
      new Promise<tls.TLSSocket>((resolve, reject) => {
        const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', port, ca: pem('ca.crt') }, () =>
          resolve(socket),
        );
        socket.once('error', reject);
      });
    const polite = await connect();
    const ended = new Promise<string>((resolve) => {
      let text = '';
      polite.on('data', (data) => (text += data.toString()));
      polite.once('end', () => resolve(text));
      polite.once('error', (error) => resolve(error.message));
    });
    polite.write('PING\r\nQUIT\r\n');
    expect(await ended).toBe('+PONG\r\n+OK\r\n');
    const slow = await connect();
    let bytes = 0;
    slow.pause();
    slow.write('GET large\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const whole = new Promise<void>((resolve) =>
      slow.on('data', (data: Buffer) => {
        bytes += data.length;
        if (bytes === 20_000_000 + '$20000000\r\n\r\n'.length) resolve();
      }),
    );
    slow.resume();
    await whole;
    slow.destroy();
    const many = await Promise.all(Array.from({ length: 100 }, connect));
    for (const socket of many) {
      socket.on('error', () => {});
      socket.write('GET large\r\n');
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const socket of many) socket.destroy();
    expect(await ping({})).toBe('+PONG');
    for (let tries = 0; tries < 100; tries++) {
      const clients = String(await admin.command('CLIENT', 'LIST'));
      if (clients.trim().split('\n').length === 1) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(
      String(await admin.command('CLIENT', 'LIST'))
        .trim()
        .split('\n'),
    ).toHaveLength(1);
    await admin.close();
  });

  it('serves node-redis', async () => {
    await start();
    const client = createClient({
      url: `rediss://localhost:${port}`,
      socket: { tls: true, ca: pem('ca.crt'), ...asClient('client') },
    });
    await client.connect();
    try {
      await client.set('a', 'b');
      expect(await client.get('a')).toBe('b');
      expect(await client.multi().incr('n').incr('n').exec()).toEqual([1, 2]);
    } finally {
      client.destroy();
    }
  });

  it('is measured by its rediss:// address', { timeout: 30_000 }, async () => {
    await start('--tls-auth-clients', 'no');
    writeFileSync(at('scenario.yaml'), SCENARIO);
    const [program, [main]] = embeddedCommand();
    const target = ['--target', `tls=rediss://localhost:${port}`, '--only', 'tls'];
    const args = [main!, 'run', at('scenario.yaml'), ...target, '--allow-flush', '--no-png', '-q', '--json'];
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: at('ca.crt') };
    const { stdout } = await run(program, [...args, '--out', at('out')], { env, maxBuffer: 64 * 1024 * 1024 });
    const result = JSON.parse(stdout) as ResultDocument;
    const [measured] = result.scenarios[0]!.cells[0]!.runs;
    expect(measured!.failure).toBeNull();
    expect(measured!.errors).toBe(0);
    expect(measured!.operations).toBeGreaterThan(100);
  });
});
