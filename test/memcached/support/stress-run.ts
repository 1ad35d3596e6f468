/** What the clients of a stress test share: keys and values that can be checked, the time that is left, what was seen. */
import type { Random } from '../../../engines/ports.ts';
import type { StressValue } from './stress-connection.ts';

const HOT_KEYS = 8;
const KEYS_AT_START = 3_000;
const KEYS_AT_END = 60_000;
/** So many CAS ids are remembered. */
const CAS_IDS_MAX = 200_000;
const POOL_BYTES = 1024 * 1024;

/** What was done and seen. */
export interface StressResult {
  requests: number;
  hits: number;
  misses: number;
  casStored: number;
  casRefused: number;
  births: number;
  refusedForMemory: number;
  pagesMoved: number;
  evictions: number;
  tableGrowths: number;
}

export class StressRun {
  /** The server's socket. */
  path = '';
  readonly random: Random;
  readonly #pool: Buffer;
  readonly #byCas = new Map<number, string>();
  #nextVersion = 1;
  #begun = 0;
  #seconds = 0;
  #leastRequests = 0;
  readonly result: StressResult = {
    requests: 0,
    hits: 0,
    misses: 0,
    casStored: 0,
    casRefused: 0,
    births: 0,
    refusedForMemory: 0,
    pagesMoved: 0,
    evictions: 0,
    tableGrowths: 0,
  };

  constructor(random: Random) {
    this.random = random;
    this.#pool = Buffer.alloc(POOL_BYTES * 2);
    for (let i = 0; i < this.#pool.length; i += 4) this.#pool.writeUInt32LE(random.nextU32(), i);
  }

  /**
   * @param leastRequests a machine that is busy with other things gets up to four times the time for so many, and for evictions, moved pages
   * and growth of the table to have happened
   */
  begin(path: string, seconds: number, leastRequests: number): void {
    this.path = path;
    this.#begun = Date.now();
    this.#seconds = seconds;
    this.#leastRequests = leastRequests === 0 ? 0 : this.result.requests + leastRequests;
  }

  /** A number that was never given before. */
  nextVersion(): number {
    return this.#nextVersion++;
  }

  isOver(): boolean {
    const part = (Date.now() - this.#begun) / (this.#seconds * 1000);
    if (part <= 1 || part > 4) return part > 1;
    const { requests, evictions, pagesMoved, tableGrowths } = this.result;
    return this.#leastRequests === 0 || (requests >= this.#leastRequests && evictions * pagesMoved * tableGrowths > 0);
  }

  pick(count: number): number {
    return this.random.nextBelow(count);
  }

  /** Half of all requests are for the hot keys; the others' number grows, and the hash table with it. */
  key(): string {
    if (this.pick(2) === 0) return `hot${this.pick(HOT_KEYS)}`;
    const part = Math.min(1, (Date.now() - this.#begun) / (this.#seconds * 1000));
    return `key${this.pick(KEYS_AT_START + Math.floor(part * (KEYS_AT_END - KEYS_AT_START)))}`;
  }

  length(): number {
    const dice = this.pick(1_000);
    if (dice < 700) return this.pick(200);
    if (dice < 960) return this.pick(4_000);
    if (dice < 998) return 16_000 + this.pick(60_000);
    return 520_000 + this.pick(200_000);
  }

  /** Bytes that follow from key, version and length. */
  #filler(key: string, version: number, length: number): Buffer {
    const at = (version * 7_919 + key.length * 104_729 + key.charCodeAt(key.length - 1) * 31) % POOL_BYTES;
    return this.#pool.subarray(at, at + length);
  }

  make(key: string, length = this.length()): Buffer {
    const version = this.#nextVersion++;
    return Buffer.concat([Buffer.from(`${key} ${version} ${length}:`), this.#filler(key, version, length)]);
  }

  check({ key, cas, data }: StressValue): void {
    const colon = data.indexOf(58);
    const [name, version, length] = data.toString('latin1', 0, Math.max(0, colon)).split(' ');
    const filler = this.#filler(key, Number(version), Number(length));
    if (name !== key || colon < 0 || !data.subarray(colon + 1).equals(filler)) {
      throw new Error(`A torn value of ${key}: ${data.length} bytes that begin with ${data.toString('latin1', 0, 60)}`);
    }
    if (cas > 0) this.#checkCas(cas, `${name} ${version}`);
  }

  /** A CAS id belongs to one value; a value that has moved to another page may have a new one. */
  #checkCas(cas: number, value: string): void {
    const known = this.#byCas.get(cas);
    if (known !== undefined && known !== value) throw new Error(`CAS id ${cas} is that of ${known} and of ${value}`);
    if (this.#byCas.size > CAS_IDS_MAX) this.#byCas.clear();
    this.#byCas.set(cas, value);
  }

  oneOf(line: string, ...allowed: string[]): void {
    if (allowed.includes(line)) return;
    if (/^(SERVER_ERROR out of memory|SERVER_ERROR Out of memory|NS|EX)/.test(line)) this.result.refusedForMemory++;
    else throw new Error(`Unexpected reply: ${line}`);
  }

  ttl(): number {
    return this.pick(10) === 0 ? 1 + this.pick(3) : 0;
  }

  readonly onValues = (values: StressValue[]): void => {
    for (const value of values) this.check(value);
    this.result.hits += values.length;
    if (values.length === 0) this.result.misses++;
  };
}
