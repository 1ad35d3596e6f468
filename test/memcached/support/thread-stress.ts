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
import * as B from '../../../engines/memcached/protocol/binary.ts';
import type { Random } from '../../../engines/ports.ts';
import { binaryRequest } from '../../conformance/memcached-binary-requests.ts';
import { type BinaryReply, StressBinary } from './stress-binary.ts';
import { StressConnection, type StressValue } from './stress-connection.ts';
import { type StressResult, StressRun } from './stress-run.ts';
import { StressTrouble } from './stress-trouble.ts';

const BINARY_CONNECTIONS = 2;
const COUNTERS = 4;
const LOGS = 3;
const LOG_BYTES_MAX = 30_000;
/** An `incr` counter counts on from a multiple of it, which tells the births apart. */
const BIRTH_STEP = 1_000_000;

interface Birth {
  successes: number;
  highest: number;
}

export class ThreadStress {
  readonly #run: StressRun;
  readonly #hasCas: boolean;
  readonly #births = new Map<string, Birth>();
  #nextBirth = 1;

  /** @param hasCas whether the server gives out CAS ids: without them each `cas` is taken, so that nothing is counted by them */
  constructor(random: Random, hasCas = true) {
    this.#run = new StressRun(random);
    this.#hasCas = hasCas;
  }

  get result(): StressResult {
    return this.#run.result;
  }

  /**
   * May be called again, for a server that goes on with what another has left.
   * @param path the server's socket
   * @param connections clients that store and fetch, beside those that make trouble
   * @param leastRequests a machine that is busy with other things gets up to four times the time for so many
   */
  async run(path: string, seconds: number, connections: number, leastRequests = 0): Promise<void> {
    this.#run.begin(path, seconds, leastRequests);
    const workers = Array.from({ length: connections }, () => this.#work());
    const inBinary = Array.from({ length: BINARY_CONNECTIONS }, () => this.#workInBinary());
    await Promise.all([...workers, ...inBinary, new StressTrouble(this.#run).make()]);
    this.#checkBirths();
  }

  async #work(): Promise<void> {
    let connection = await StressConnection.connect(this.#run.path);
    while (!this.#run.isOver()) {
      for (let i = this.#run.pick(30); i >= 0; i--) this.#request(connection);
      await connection.flush();
      if (this.#run.pick(500) === 0) {
        connection.socket.destroy();
        connection = await StressConnection.connect(this.#run.path);
      }
    }
    connection.socket.destroy();
  }

  #request(connection: StressConnection): void {
    this.#run.result.requests++;
    const dice = this.#run.pick(100);
    if (dice < 36) this.#get(connection, dice);
    else if (dice < 58) this.#set(connection);
    else if (dice < 62)
      connection.line(`delete ${this.#run.key()}\r\n`, (line) => this.#run.oneOf(line, 'DELETED', 'NOT_FOUND'));
    else if (dice < 66)
      connection.line(`touch ${this.#run.key()} ${this.#run.ttl()}\r\n`, (line) =>
        this.#run.oneOf(line, 'TOUCHED', 'NOT_FOUND'),
      );
    else if (dice < 82 && this.#hasCas) this.#countByCas(connection);
    else if (dice < 88) this.#countByIncr(connection);
    else if (dice < 92) this.#append(connection);
    else if (dice < 95) this.#metaGet(connection);
    else if (dice < 98) this.#metaSet(connection);
    else
      connection.line(`md ${this.#run.key()} ${['', 'I T5', 'q'][this.#run.pick(2)]}\r\n`, (line) =>
        this.#run.oneOf(line, 'HD', 'NF'),
      );
  }

  /** The same keys and counters by the binary protocol, quiet requests among them. */
  async #workInBinary(): Promise<void> {
    const connection = await StressBinary.connect(this.#run.path);
    while (!this.#run.isOver()) {
      const counter = `cas${this.#run.pick(COUNTERS)}`;
      const requests = Array.from({ length: 1 + this.#run.pick(20) }, (_, i) => this.#binaryRequest(i));
      const seen = requests.length;
      requests.push(binaryRequest({ opcode: B.OP_GET, key: Buffer.from(counter), opaque: seen }));
      this.#run.result.requests += requests.length;
      for (const reply of await connection.ask(requests)) {
        if (reply.request === seen) await this.#countByBinaryCas(connection, counter, reply);
        else this.#checkBinary(reply);
      }
    }
    connection.socket.destroy();
  }

  #binaryRequest(opaque: number): Buffer {
    const name = this.#run.key();
    const key = Buffer.from(name);
    const dice = this.#run.pick(20);
    if (dice < 4) return binaryRequest({ opcode: B.OP_GETKQ, key, opaque });
    if (dice < 8) return binaryRequest({ opcode: B.OP_GETK, key, opaque });
    const expiry = Buffer.alloc(4);
    expiry.writeUInt32BE(this.#run.ttl());
    if (dice < 10) return binaryRequest({ opcode: B.OP_GATK, key, extras: expiry, opaque });
    if (dice < 11) return binaryRequest({ opcode: B.OP_DELETE, key, opaque });
    if (dice < 12) return binaryRequest({ opcode: B.OP_DELETEQ, key, opaque });
    const opcode = [B.OP_SET, B.OP_SETQ, B.OP_ADD, B.OP_REPLACEQ][this.#run.pick(4)]!;
    return binaryRequest({
      opcode,
      key,
      extras: Buffer.concat([Buffer.alloc(4), expiry]),
      value: this.#run.make(name),
      opaque,
    });
  }

  #checkBinary({ opcode, status, cas, key, value }: BinaryReply): void {
    const isFetch = opcode === B.OP_GETK || opcode === B.OP_GETKQ || opcode === B.OP_GATK;
    if (isFetch && status === B.STATUS_SUCCESS) {
      this.#run.result.hits++;
      this.#run.check({ key: key.toString(), flags: 0, cas: Number(cas), data: value });
    } else if (status === B.STATUS_ENOMEM) this.#run.result.refusedForMemory++;
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
    else this.#run.result.casRefused++;
  }

  #casStored(name: string, version: number): void {
    const birth = this.#birth(name);
    birth.successes++;
    birth.highest = Math.max(birth.highest, version);
    this.#run.result.casStored++;
  }

  #get(connection: StressConnection, dice: number): void {
    if (dice < 4) {
      const keys = Array.from({ length: 20 }, () => this.#run.key());
      connection.values(`get ${keys.join(' ')}\r\n`, this.#run.onValues);
    } else if (dice < 8) connection.values(`gat ${this.#run.ttl()} ${this.#run.key()}\r\n`, this.#run.onValues);
    else connection.values(`${dice < 20 ? 'gets' : 'get'} ${this.#run.key()}\r\n`, this.#run.onValues);
  }

  #set(connection: StressConnection): void {
    const key = this.#run.key();
    const verb = ['set', 'set', 'set', 'add', 'replace'][this.#run.pick(5)]!;
    const value = this.#run.make(key);
    const head = `${verb} ${key} ${this.#run.pick(3)} ${this.#run.ttl()} ${value.length}\r\n`;
    connection.line(Buffer.concat([Buffer.from(head), value, Buffer.from('\r\n')]), (line) =>
      this.#run.oneOf(line, 'STORED', 'NOT_STORED'),
    );
  }

  #metaGet(connection: StressConnection): void {
    const onValues = (values: StressValue[], end: string): void => {
      if (values.length === 0 && !end.startsWith('EN')) throw new Error(`Unexpected reply: ${end}`);
      this.#run.onValues(values);
    };
    connection.values(`mg ${this.#run.key()} k f c t l v\r\n`, onValues, true);
  }

  #metaSet(connection: StressConnection): void {
    const key = this.#run.key();
    const value = this.#run.make(key);
    const head = `ms ${key} ${value.length} T${this.#run.ttl()} ${this.#run.pick(4) === 0 ? 'I' : ''}\r\n`;
    connection.line(Buffer.concat([Buffer.from(head), value, Buffer.from('\r\n')]), (line) =>
      this.#run.oneOf(line, 'HD'),
    );
  }

  #birth(name: string): Birth {
    let birth = this.#births.get(name);
    if (birth === undefined) {
      birth = { successes: 0, highest: 0 };
      this.#births.set(name, birth);
      this.#run.result.births++;
    }
    return birth;
  }

  #countByCas(connection: StressConnection): void {
    const key = `cas${this.#run.pick(COUNTERS)}`;
    connection.values(`gets ${key}\r\n`, ([value]) => {
      if (value === undefined) {
        const begin = `${this.#nextBirth++} 0`;
        connection.line(`add ${key} 0 0 ${begin.length}\r\n${begin}\r\n`, (line) =>
          this.#run.oneOf(line, 'STORED', 'NOT_STORED'),
        );
        return;
      }
      const [born, version] = value.data.toString().split(' ');
      const wanted = Number(version) + 1;
      const text = `${born} ${wanted}`;
      connection.line(`cas ${key} 0 0 ${text.length} ${value.cas}\r\n${text}\r\n`, (line) => {
        this.#run.oneOf(line, 'STORED', 'EXISTS', 'NOT_FOUND');
        if (line === 'STORED') this.#casStored(`${key} ${born}`, wanted);
        else this.#run.result.casRefused++;
      });
    });
  }

  #countByIncr(connection: StressConnection): void {
    const key = `incr${this.#run.pick(COUNTERS)}`;
    connection.line(`incr ${key} 1\r\n`, (line) => {
      if (line === 'NOT_FOUND') {
        const begin = String(this.#nextBirth++ * BIRTH_STEP);
        connection.line(`add ${key} 0 0 ${begin.length}\r\n${begin}\r\n`, (reply) =>
          this.#run.oneOf(reply, 'STORED', 'NOT_STORED'),
        );
        return;
      }
      if (!/^\d+$/.test(line)) return this.#run.oneOf(line);
      const birth = this.#birth(`${key} ${Math.floor(Number(line) / BIRTH_STEP)}`);
      birth.successes++;
      birth.highest = Math.max(birth.highest, Number(line) % BIRTH_STEP);
    });
  }

  #append(connection: StressConnection): void {
    const key = `log${this.#run.pick(LOGS)}`;
    connection.values(`get ${key}\r\n`, ([value]) => {
      if (value !== undefined) {
        const text = value.data.toString('latin1');
        if (!/^(<\d+:a*>)*$/.test(text)) throw new Error(`A torn log ${key}: ${text.slice(0, 200)}`);
      }
      const entry = `<${this.#run.nextVersion()}:${'a'.repeat(this.#run.pick(100))}>`;
      const isNew = value === undefined || value.data.length > LOG_BYTES_MAX;
      const verb = isNew ? 'set' : this.#run.pick(2) === 0 ? 'append' : 'prepend';
      connection.line(`${verb} ${key} 0 0 ${entry.length}\r\n${entry}\r\n`, (line) =>
        this.#run.oneOf(line, 'STORED', 'NOT_STORED'),
      );
    });
  }

  #checkBirths(): void {
    for (const [name, { successes, highest }] of this.#births) {
      if (successes !== highest) throw new Error(`${name}: ${successes} successes, but its version is ${highest}`);
    }
  }
}
