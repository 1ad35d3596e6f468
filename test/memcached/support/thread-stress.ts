/**
 * Many connections at few hot keys of one server whose threads share everything, while its pages move, its table grows, its crawler runs, items
 * expire, are evicted and flushed. Whatever comes back must be what somebody stored:
 *
 * - A value says its key and version, and its bytes follow from both: a torn or foreign one shows at once.
 * - A counter kept by `cas` says when it was begun (its birth) and its version. Each success makes one new version, so the successes of a
 *   birth are as many as its highest version; a lost or doubled one breaks that. The same for `incr`.
 * - A log grows by `append`: its entries must all be whole.
 * - When the server stops it checks all of its memory (--verify-on-exit).
 */
import net from 'node:net';
import * as B from '../../../engines/memcached/protocol/binary.ts';
import type { Random } from '../../../engines/ports.ts';
import { binaryRequest } from '../../conformance/memcached-binary-requests.ts';
import { type BinaryReply, StressBinary } from './stress-binary.ts';
import { StressConnection, type StressValue } from './stress-connection.ts';

const HOT_KEYS = 8;
const COUNTERS = 4;
const LOGS = 3;
const LOG_BYTES_MAX = 30_000;
const KEYS_AT_START = 3_000;
const KEYS_AT_END = 60_000;
const SMALL_ITEMS = 60_000;
const POOL_BYTES = 1024 * 1024;
/** An `incr` counter counts on from a multiple of it, which tells the births apart. */
const BIRTH_STEP = 1_000_000;

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

interface Birth {
  successes: number;
  highest: number;
}

export class ThreadStress {
  readonly #path: string;
  readonly #random: Random;
  readonly #hasCas: boolean;
  readonly #pool: Buffer;
  readonly #births = new Map<string, Birth>();
  #nextVersion = 1;
  #nextBirth = 1;
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

  /** @param hasCas whether the server gives out CAS ids: without them each `cas` is taken, so that nothing is counted by them */
  constructor(path: string, random: Random, hasCas = true) {
    this.#path = path;
    this.#hasCas = hasCas;
    this.#random = random;
    this.#pool = Buffer.alloc(POOL_BYTES * 2);
    for (let i = 0; i < this.#pool.length; i += 4) this.#pool.writeUInt32LE(random.nextU32(), i);
  }

  /**
   * @param connections clients that store and fetch, beside those that make trouble
   * @param leastRequests a machine that is busy with other things gets up to four times the time for so many
   */
  async run(seconds: number, connections: number, leastRequests = 0): Promise<void> {
    this.#begun = Date.now();
    this.#leastRequests = leastRequests;
    this.#seconds = seconds;
    const workers = Array.from({ length: connections }, () => this.#work());
    await Promise.all([
      ...workers,
      this.#trouble(),
      this.#crawl(),
      this.#readSlowly(),
      this.#comeAndGo(),
      this.#grow(),
      this.#workInBinary(),
      this.#workInBinary(),
    ]);
    this.#checkBirths();
  }

  #isOver(): boolean {
    const part = (Date.now() - this.#begun) / (this.#seconds * 1000);
    return part > 4 || (part > 1 && this.result.requests >= this.#leastRequests);
  }

  #pick(count: number): number {
    return this.#random.nextBelow(count);
  }

  /** Half of all requests are for the hot keys; the others' number grows, and the hash table with it. */
  #key(): string {
    if (this.#pick(2) === 0) return `hot${this.#pick(HOT_KEYS)}`;
    const part = Math.min(1, (Date.now() - this.#begun) / (this.#seconds * 1000));
    return `key${this.#pick(KEYS_AT_START + Math.floor(part * (KEYS_AT_END - KEYS_AT_START)))}`;
  }

  #length(): number {
    const dice = this.#pick(1_000);
    if (dice < 700) return this.#pick(200);
    if (dice < 960) return this.#pick(4_000);
    if (dice < 998) return 16_000 + this.#pick(60_000);
    return 520_000 + this.#pick(200_000);
  }

  /** Bytes that follow from key, version and length. */
  #filler(key: string, version: number, length: number): Buffer {
    const at = (version * 7_919 + key.length * 104_729 + key.charCodeAt(key.length - 1) * 31) % POOL_BYTES;
    return this.#pool.subarray(at, at + length);
  }

  #make(key: string, length = this.#length()): Buffer {
    const version = this.#nextVersion++;
    return Buffer.concat([Buffer.from(`${key} ${version} ${length}:`), this.#filler(key, version, length)]);
  }

  #check({ key, data }: StressValue): void {
    const colon = data.indexOf(58);
    const [name, version, length] = data.toString('latin1', 0, Math.max(0, colon)).split(' ');
    const filler = this.#filler(key, Number(version), Number(length));
    if (name !== key || colon < 0 || !data.subarray(colon + 1).equals(filler)) {
      throw new Error(`A torn value of ${key}: ${data.length} bytes that begin with ${data.toString('latin1', 0, 60)}`);
    }
  }

  async #work(): Promise<void> {
    let connection = await StressConnection.connect(this.#path);
    while (!this.#isOver()) {
      for (let i = this.#pick(30); i >= 0; i--) this.#request(connection);
      await connection.flush();
      if (this.#pick(500) === 0) {
        connection.socket.destroy();
        connection = await StressConnection.connect(this.#path);
      }
    }
    connection.socket.destroy();
  }

  #request(connection: StressConnection): void {
    this.result.requests++;
    const dice = this.#pick(100);
    if (dice < 36) this.#get(connection, dice);
    else if (dice < 58) this.#set(connection);
    else if (dice < 62)
      connection.line(`delete ${this.#key()}\r\n`, (line) => this.#oneOf(line, 'DELETED', 'NOT_FOUND'));
    else if (dice < 66)
      connection.line(`touch ${this.#key()} ${this.#ttl()}\r\n`, (line) => this.#oneOf(line, 'TOUCHED', 'NOT_FOUND'));
    else if (dice < 82 && this.#hasCas) this.#countByCas(connection);
    else if (dice < 88) this.#countByIncr(connection);
    else if (dice < 92) this.#append(connection);
    else if (dice < 95) this.#metaGet(connection);
    else if (dice < 98) this.#metaSet(connection);
    else
      connection.line(`md ${this.#key()} ${['', 'I T5', 'q'][this.#pick(2)]}\r\n`, (line) =>
        this.#oneOf(line, 'HD', 'NF'),
      );
  }

  /** The same keys and counters by the binary protocol, quiet requests among them. */
  async #workInBinary(): Promise<void> {
    const connection = await StressBinary.connect(this.#path);
    while (!this.#isOver()) {
      const counter = `cas${this.#pick(COUNTERS)}`;
      const requests = Array.from({ length: 1 + this.#pick(20) }, (_, i) => this.#binaryRequest(i));
      const seen = requests.length;
      requests.push(binaryRequest({ opcode: B.OP_GET, key: Buffer.from(counter), opaque: seen }));
      this.result.requests += requests.length;
      for (const reply of await connection.ask(requests)) {
        if (reply.request === seen) await this.#countByBinaryCas(connection, counter, reply);
        else this.#checkBinary(reply);
      }
    }
    connection.socket.destroy();
  }

  #binaryRequest(opaque: number): Buffer {
    const name = this.#key();
    const key = Buffer.from(name);
    const dice = this.#pick(20);
    if (dice < 4) return binaryRequest({ opcode: B.OP_GETKQ, key, opaque });
    if (dice < 8) return binaryRequest({ opcode: B.OP_GETK, key, opaque });
    const expiry = Buffer.alloc(4);
    expiry.writeUInt32BE(this.#ttl());
    if (dice < 10) return binaryRequest({ opcode: B.OP_GATK, key, extras: expiry, opaque });
    if (dice < 11) return binaryRequest({ opcode: B.OP_DELETE, key, opaque });
    if (dice < 12) return binaryRequest({ opcode: B.OP_DELETEQ, key, opaque });
    const opcode = [B.OP_SET, B.OP_SETQ, B.OP_ADD, B.OP_REPLACEQ][this.#pick(4)]!;
    return binaryRequest({
      opcode,
      key,
      extras: Buffer.concat([Buffer.alloc(4), expiry]),
      value: this.#make(name),
      opaque,
    });
  }

  #checkBinary({ opcode, status, key, value }: BinaryReply): void {
    const isFetch = opcode === B.OP_GETK || opcode === B.OP_GETKQ || opcode === B.OP_GATK;
    if (isFetch && status === B.STATUS_SUCCESS) {
      this.result.hits++;
      this.#check({ key: key.toString(), flags: 0, cas: 0, data: value });
    } else if (status === B.STATUS_ENOMEM) this.result.refusedForMemory++;
    else if (![B.STATUS_SUCCESS, B.STATUS_KEY_ENOENT, B.STATUS_KEY_EEXISTS, B.STATUS_NOT_STORED].includes(status)) {
      throw new Error(`Unexpected status ${status} of opcode ${opcode}`);
    }
  }

  async #countByBinaryCas(connection: StressBinary, key: string, reply: BinaryReply): Promise<void> {
    if (reply.status !== B.STATUS_SUCCESS || !this.#hasCas) return;
    const [born, version] = reply.value.toString().split(' ');
    const wanted = Number(version) + 1;
    const value = Buffer.from(`${born} ${wanted}`);
    const request = {
      opcode: B.OP_SET,
      key: Buffer.from(key),
      extras: Buffer.alloc(8),
      value,
      cas: reply.cas,
      opaque: 0,
    };
    const [answer] = await connection.ask([binaryRequest(request)]);
    if (answer!.status === B.STATUS_SUCCESS) this.#casStored(`${key} ${born}`, wanted);
    else this.result.casRefused++;
  }

  #casStored(name: string, version: number): void {
    const birth = this.#birth(name);
    birth.successes++;
    birth.highest = Math.max(birth.highest, version);
    this.result.casStored++;
  }

  #oneOf(line: string, ...allowed: string[]): void {
    if (allowed.includes(line)) return;
    if (/^(SERVER_ERROR out of memory|SERVER_ERROR Out of memory|NS|EX)/.test(line)) this.result.refusedForMemory++;
    else throw new Error(`Unexpected reply: ${line}`);
  }

  #ttl(): number {
    return this.#pick(10) === 0 ? 1 + this.#pick(3) : 0;
  }

  readonly #onValues = (values: StressValue[]): void => {
    for (const value of values) this.#check(value);
    this.result.hits += values.length;
    if (values.length === 0) this.result.misses++;
  };

  #get(connection: StressConnection, dice: number): void {
    if (dice < 4) {
      const keys = Array.from({ length: 20 }, () => this.#key());
      connection.values(`get ${keys.join(' ')}\r\n`, this.#onValues);
    } else if (dice < 8) connection.values(`gat ${this.#ttl()} ${this.#key()}\r\n`, this.#onValues);
    else connection.values(`${dice < 12 ? 'gets' : 'get'} ${this.#key()}\r\n`, this.#onValues);
  }

  #set(connection: StressConnection): void {
    const key = this.#key();
    const verb = ['set', 'set', 'set', 'add', 'replace'][this.#pick(5)]!;
    const value = this.#make(key);
    const head = `${verb} ${key} ${this.#pick(3)} ${this.#ttl()} ${value.length}\r\n`;
    connection.line(Buffer.concat([Buffer.from(head), value, Buffer.from('\r\n')]), (line) =>
      this.#oneOf(line, 'STORED', 'NOT_STORED'),
    );
  }

  #metaGet(connection: StressConnection): void {
    const onValues = (values: StressValue[], end: string): void => {
      if (values.length === 0 && !end.startsWith('EN')) throw new Error(`Unexpected reply: ${end}`);
      this.#onValues(values);
    };
    connection.values(`mg ${this.#key()} k f c t l v\r\n`, onValues, true);
  }

  #metaSet(connection: StressConnection): void {
    const key = this.#key();
    const value = this.#make(key);
    const head = `ms ${key} ${value.length} T${this.#ttl()} ${this.#pick(4) === 0 ? 'I' : ''}\r\n`;
    connection.line(Buffer.concat([Buffer.from(head), value, Buffer.from('\r\n')]), (line) => this.#oneOf(line, 'HD'));
  }

  #birth(name: string): Birth {
    let birth = this.#births.get(name);
    if (birth === undefined) {
      birth = { successes: 0, highest: 0 };
      this.#births.set(name, birth);
      this.result.births++;
    }
    return birth;
  }

  #countByCas(connection: StressConnection): void {
    const key = `cas${this.#pick(COUNTERS)}`;
    connection.values(`gets ${key}\r\n`, ([value]) => {
      if (value === undefined) {
        const begin = `${this.#nextBirth++} 0`;
        connection.line(`add ${key} 0 0 ${begin.length}\r\n${begin}\r\n`, (line) =>
          this.#oneOf(line, 'STORED', 'NOT_STORED'),
        );
        return;
      }
      const [born, version] = value.data.toString().split(' ');
      const wanted = Number(version) + 1;
      const text = `${born} ${wanted}`;
      connection.line(`cas ${key} 0 0 ${text.length} ${value.cas}\r\n${text}\r\n`, (line) => {
        this.#oneOf(line, 'STORED', 'EXISTS', 'NOT_FOUND');
        if (line === 'STORED') this.#casStored(`${key} ${born}`, wanted);
        else this.result.casRefused++;
      });
    });
  }

  #countByIncr(connection: StressConnection): void {
    const key = `incr${this.#pick(COUNTERS)}`;
    connection.line(`incr ${key} 1\r\n`, (line) => {
      if (line === 'NOT_FOUND') {
        const begin = String(this.#nextBirth++ * BIRTH_STEP);
        connection.line(`add ${key} 0 0 ${begin.length}\r\n${begin}\r\n`, (reply) =>
          this.#oneOf(reply, 'STORED', 'NOT_STORED'),
        );
        return;
      }
      if (!/^\d+$/.test(line)) return this.#oneOf(line);
      const birth = this.#birth(`${key} ${Math.floor(Number(line) / BIRTH_STEP)}`);
      birth.successes++;
      birth.highest = Math.max(birth.highest, Number(line) % BIRTH_STEP);
    });
  }

  #append(connection: StressConnection): void {
    const key = `log${this.#pick(LOGS)}`;
    connection.values(`get ${key}\r\n`, ([value]) => {
      if (value !== undefined) {
        const text = value.data.toString('latin1');
        if (!/^(<\d+:a*>)*$/.test(text)) throw new Error(`A torn log ${key}: ${text.slice(0, 200)}`);
      }
      const entry = `<${this.#nextVersion++}:${'a'.repeat(this.#pick(100))}>`;
      const isNew = value === undefined || value.data.length > LOG_BYTES_MAX;
      const verb = isNew ? 'set' : this.#pick(2) === 0 ? 'append' : 'prepend';
      connection.line(`${verb} ${key} 0 0 ${entry.length}\r\n${entry}\r\n`, (line) =>
        this.#oneOf(line, 'STORED', 'NOT_STORED'),
      );
    });
  }

  /** Pages are moved about, everything is flushed now and then, limits and modes change. */
  async #trouble(): Promise<void> {
    const control = await StressConnection.connect(this.#path);
    const say = (request: string, onLine: (line: string) => void = () => {}): void =>
      control.line(`${request}\r\n`, onLine);
    while (!this.#isOver()) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const dice = this.#pick(1_000);
      for (let i = 0; i < 4; i++) say(`slabs reassign ${this.#pick(12) - 1 || -1} ${1 + this.#pick(39)}`);
      if (dice < 5) say('flush_all');
      else if (dice < 8) say(`flush_all ${1 + this.#pick(2)}`);
      else if (dice < 20) say(`slabs automove ${this.#pick(3)}`);
      else if (dice < 40) say(`lru mode ${this.#pick(4) === 0 ? 'flat' : 'segmented'}`);
      else if (dice < 50) say(`lru temp_ttl ${this.#pick(3) - 1}`);
      else if (dice < 60) say(`lru tune ${10 + this.#pick(20)} ${10 + this.#pick(30)} 0.1 ${1 + this.#pick(3)}.0`);
      else if (dice < 70) say(`cache_memlimit ${40 + this.#pick(30)}`);
      else if (dice < 80) say(`stats detail ${this.#pick(2) === 0 ? 'on' : 'off'}`);
      else if (dice < 90) say('verbosity 0');
      await control.flush();
    }
    say('slabs automove 0');
    await control.flush();
    const stats = await this.#stats(control, '');
    this.result.pagesMoved = Number(stats.get('slabs_moved'));
    this.result.evictions = Number(stats.get('evictions'));
    this.result.tableGrowths = Number(stats.get('hash_power_level')) - 13;
    control.socket.destroy();
  }

  async #stats(connection: StressConnection, which: string): Promise<Map<string, string>> {
    const rows = new Map<string, string>();
    const more = (line: string): void => {
      const [, name, ...value] = line.split(' ');
      if (line === 'END' || line === 'RESET' || !line.startsWith('STAT')) return;
      rows.set(name!, value.join(' '));
      connection.line('', more);
    };
    connection.line(`stats ${which}\r\n`, more);
    await connection.flush();
    return rows;
  }

  /** The crawler looks for expired items, dumps keys; statistics are read meanwhile. */
  async #crawl(): Promise<void> {
    const control = await StressConnection.connect(this.#path);
    while (!this.#isOver()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      control.line('lru_crawler crawl all\r\n', (line) =>
        this.#oneOf(line, 'OK', 'BUSY currently processing crawler request'),
      );
      await control.flush();
      for (const which of ['', 'slabs', 'items', 'conns', 'sizes', 'settings']) await this.#stats(control, which);
      if (this.#pick(5) === 0) await this.#dump();
    }
    control.socket.destroy();
  }

  async #dump(): Promise<void> {
    const socket = net.connect({ path: this.#path });
    let text = '';
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (/(END|[A-Z]+ [^\n]*)\r\n$/.test(text)) resolve();
      });
      socket.once('close', () => reject(new Error('The server has closed a connection that dumps keys')));
      socket.write('lru_crawler metadump all\r\n');
    });
    socket.removeAllListeners('close').destroy();
    for (const line of text.split('\n')) {
      if (/^key=\S+ exp=-?\d+ la=\d+ cas=\d+ fetch=(yes|no) cls=\d+ size=\d+$/.test(line) || line === '') continue;
      this.#oneOf(line.trimEnd(), 'END', 'BUSY currently processing crawler request', 'ERROR locked try again later');
    }
  }

  /** So many small items that the hash table must grow, again and again while it is worked on. */
  async #grow(): Promise<void> {
    const grower = await StressConnection.connect(this.#path);
    for (let i = 0; i < SMALL_ITEMS && !this.#isOver(); i++) {
      grower.line(`set small${i} 0 0 1\r\nx\r\n`, (line) => this.#oneOf(line, 'STORED'));
      if (i % 200 === 199) await grower.flush();
    }
    await grower.flush();
    grower.socket.destroy();
  }

  /** Large values are asked for and not read for a while: their items stay referenced, whatever happens to them. */
  async #readSlowly(): Promise<void> {
    while (!this.#isOver()) {
      const slow = await StressConnection.connect(this.#path);
      slow.socket.pause();
      for (let i = 0; i < 60; i++) slow.values(`get ${this.#key()} hot0 hot1 hot2 hot3\r\n`, this.#onValues);
      const done = slow.flush();
      await new Promise((resolve) => setTimeout(resolve, 100 + this.#pick(400)));
      if (this.#pick(3) === 0) {
        done.catch(() => {});
        slow.socket.destroy();
        continue;
      }
      slow.socket.resume();
      await done;
      slow.socket.destroy();
    }
  }

  /** Connections end in the middle of a value, and watchers come and go. */
  async #comeAndGo(): Promise<void> {
    while (!this.#isOver()) {
      const guest = await StressConnection.connect(this.#path);
      const dice = this.#pick(3);
      if (dice === 0) guest.socket.write(`set ${this.#key()} 0 0 ${this.#length() + 10}\r\nabc`);
      else if (dice === 1) guest.socket.write('watch fetchers mutations evictions\r\n');
      else guest.socket.write(`get ${this.#key()} ${this.#key()}\r\nset `);
      await new Promise((resolve) => setTimeout(resolve, 20 + this.#pick(200)));
      guest.failure ??= new Error('gone on purpose');
      guest.socket.destroy();
    }
  }

  #checkBirths(): void {
    for (const [name, { successes, highest }] of this.#births) {
      if (successes !== highest) throw new Error(`${name}: ${successes} successes, but its version is ${highest}`);
    }
  }
}
