/** A connection that keeps many ASCII requests under way and hands each its reply. Made for load: replies are cut out of one growing buffer. */
import net from 'node:net';

/** A server that is silent for so long has forgotten a request. */
const STALL_MS = 20_000;

/** One value of a reply to a retrieval. */
export interface StressValue {
  key: string;
  flags: number;
  cas: number;
  /** Valid during the callback only. */
  data: Buffer;
}

type OnLine = (line: string) => void;
type OnValues = (values: StressValue[], end: string) => void;

interface Expected {
  /** Line replies: one line. Value replies: VALUE … up to END; with `isMeta` VA …, or one line. */
  onLine: OnLine | null;
  onValues: OnValues | null;
  isMeta: boolean;
}

export class StressConnection {
  readonly socket: net.Socket;
  readonly #expected: Expected[] = [];
  #head = 0;
  #buffer = Buffer.alloc(0);
  #values: StressValue[] = [];
  #out: (string | Buffer)[] = [];
  #onIdle: (() => void) | null = null;
  isClosed = false;
  /** The first thing that went wrong, told by `failure`. */
  failure: Error | null = null;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      this.#buffer = this.#buffer.length === 0 ? data : Buffer.concat([this.#buffer, data]);
      try {
        this.#parse();
      } catch (error) {
        this.#fail(error as Error);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.#onIdle?.();
    });
  }

  static connect(path: string): Promise<StressConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new StressConnection(socket)));
    });
  }

  #fail(error: Error): void {
    this.failure ??= error;
    this.socket.destroy();
  }

  /** Requests without a reply yet. */
  get underWay(): number {
    return this.#expected.length - this.#head;
  }

  line(request: string | Buffer, onLine: OnLine): void {
    this.#out.push(request);
    this.#expected.push({ onLine, onValues: null, isMeta: false });
  }

  values(request: string, onValues: OnValues, isMeta = false): void {
    this.#out.push(request);
    this.#expected.push({ onLine: null, onValues, isMeta });
  }

  /** Sends what has been asked for; resolves when all replies are there, also those to what their callbacks have asked for. */
  flush(): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.underWay === 0) return Promise.resolve();
    this.#send();
    return new Promise((resolve, reject) => {
      const stalled = setTimeout(() => this.#fail(new Error(`No reply: ${this.underWay} are waited for`)), STALL_MS);
      this.#onIdle = () => {
        clearTimeout(stalled);
        this.#onIdle = null;
        if (this.failure !== null) reject(this.failure);
        else if (this.isClosed) reject(new Error('The server has closed a connection'));
        else resolve();
      };
    });
  }

  #send(): void {
    const parts = this.#out.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
    this.#out = [];
    this.socket.write(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
  }

  #parse(): void {
    let at = 0;
    const buffer = this.#buffer;
    while (this.#head < this.#expected.length) {
      const end = buffer.indexOf('\r\n', at);
      if (end < 0) break;
      const next = this.#take(buffer, at, end);
      if (next < 0) break;
      at = next;
    }
    this.#buffer = at === 0 ? buffer : buffer.subarray(at);
    if (this.#out.length > 0) this.#send();
    if (this.#head < this.#expected.length) return;
    this.#expected.length = 0;
    this.#head = 0;
    this.#onIdle?.();
  }

  /** Takes one line, and the value behind it. @returns where the next begins, or -1 when it is not all there */
  #take(buffer: Buffer, at: number, end: number): number {
    const expected = this.#expected[this.#head]!;
    const line = buffer.toString('latin1', at, end);
    if (expected.onLine !== null) {
      this.#head++;
      expected.onLine(line);
      return end + 2;
    }
    if (line.startsWith('VALUE ') || line.startsWith('VA ')) return this.#takeValue(buffer, line, end + 2, expected);
    if (line !== 'END' && !expected.isMeta) throw new Error(`Unexpected reply: ${line.slice(0, 200)}`);
    const values = this.#values;
    this.#values = [];
    this.#head++;
    expected.onValues!(values, line);
    return end + 2;
  }

  #takeValue(buffer: Buffer, line: string, from: number, expected: Expected): number {
    const words = line.split(' ');
    const length = Number(words[expected.isMeta ? 1 : 3]);
    const behind = from + length + 2;
    if (behind > buffer.length) return -1;
    if (buffer[behind - 2] !== 13 || buffer[behind - 1] !== 10)
      throw new Error(`A value does not end where ${line} says`);
    const flag = (letter: string): string => words.find((word) => word.startsWith(letter))?.slice(1) ?? '';
    const value = expected.isMeta
      ? { key: flag('k'), flags: Number(flag('f')), cas: Number(flag('c')), data: buffer.subarray(from, from + length) }
      : {
          key: words[1]!,
          flags: Number(words[2]),
          cas: Number(words[4] ?? 0),
          data: buffer.subarray(from, from + length),
        };
    if (!expected.isMeta) {
      this.#values.push(value);
      return behind;
    }
    this.#head++;
    expected.onValues!([value], line);
    return behind;
  }
}
