/** Everything that makes a server's threads get into each other's way while others store and fetch. */
import net from 'node:net';
import { StressConnection } from './stress-connection.ts';
import type { StressRun } from './stress-run.ts';

const SMALL_ITEMS = 60_000;

export class StressTrouble {
  readonly #run: StressRun;

  constructor(run: StressRun) {
    this.#run = run;
  }

  /** Resolves when the run is over. */
  async make(): Promise<void> {
    await Promise.all([this.#trouble(), this.#crawl(), this.#readSlowly(), this.#comeAndGo(), this.#grow()]);
  }

  /** Pages are moved about, everything is flushed now and then, limits and modes change. */
  async #trouble(): Promise<void> {
    const control = await StressConnection.connect(this.#run.path);
    const say = (request: string, onLine: (line: string) => void = () => {}): void =>
      control.line(`${request}\r\n`, onLine);
    while (!this.#run.isOver()) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const dice = this.#run.pick(1_000);
      for (let i = 0; i < 4; i++) say(`slabs reassign ${this.#run.pick(12) - 1 || -1} ${1 + this.#run.pick(39)}`);
      if (dice < 5) say('flush_all');
      else if (dice < 8) say(`flush_all ${1 + this.#run.pick(2)}`);
      else if (dice < 20) say(`slabs automove ${this.#run.pick(3)}`);
      else if (dice < 40) say(`lru mode ${this.#run.pick(4) === 0 ? 'flat' : 'segmented'}`);
      else if (dice < 50) say(`lru temp_ttl ${this.#run.pick(3) - 1}`);
      else if (dice < 60)
        say(`lru tune ${10 + this.#run.pick(20)} ${10 + this.#run.pick(30)} 0.1 ${1 + this.#run.pick(3)}.0`);
      else if (dice < 70) say(`cache_memlimit ${40 + this.#run.pick(30)}`);
      else if (dice < 80) say(`stats detail ${this.#run.pick(2) === 0 ? 'on' : 'off'}`);
      else if (dice < 90) say('verbosity 0');
      await control.flush();
    }
    say('slabs automove 0');
    await control.flush();
    this.#note(await this.#stats(control, ''));
    control.socket.destroy();
  }

  #note(stats: ReadonlyMap<string, string>): void {
    this.#run.result.pagesMoved = Number(stats.get('slabs_moved'));
    this.#run.result.evictions = Number(stats.get('evictions'));
    this.#run.result.tableGrowths = Number(stats.get('hash_power_level')) - 13;
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
    const control = await StressConnection.connect(this.#run.path);
    while (!this.#run.isOver()) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      control.line('lru_crawler crawl all\r\n', (line) =>
        this.#run.oneOf(line, 'OK', 'BUSY currently processing crawler request'),
      );
      await control.flush();
      for (const which of ['slabs', 'items', 'conns', 'sizes', 'settings']) await this.#stats(control, which);
      this.#note(await this.#stats(control, ''));
      if (this.#run.pick(5) === 0) await this.#dump();
    }
    control.socket.destroy();
  }

  async #dump(): Promise<void> {
    const socket = net.connect({ path: this.#run.path });
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
      this.#run.oneOf(
        line.trimEnd(),
        'END',
        'BUSY currently processing crawler request',
        'ERROR locked try again later',
      );
    }
  }

  /** So many small items that the hash table must grow, again and again while it is worked on. */
  async #grow(): Promise<void> {
    const grower = await StressConnection.connect(this.#run.path);
    for (let i = 0; i < SMALL_ITEMS && !this.#run.isOver(); i++) {
      grower.line(`set small${i} 0 0 1\r\nx\r\n`, (line) => this.#run.oneOf(line, 'STORED'));
      if (i % 200 === 199) await grower.flush();
    }
    await grower.flush();
    grower.socket.destroy();
  }

  /** Large values are asked for and not read for a while: their items stay referenced, whatever happens to them. */
  async #readSlowly(): Promise<void> {
    while (!this.#run.isOver()) {
      const slow = await StressConnection.connect(this.#run.path);
      slow.socket.pause();
      for (let i = 0; i < 60; i++) slow.values(`get ${this.#run.key()} hot0 hot1 hot2 hot3\r\n`, this.#run.onValues);
      const done = slow.flush();
      // The server may be stopped while this one sleeps; who waits for it below is told all the same.
      done.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 100 + this.#run.pick(400)));
      if (this.#run.pick(3) === 0) {
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
    while (!this.#run.isOver()) {
      const guest = await StressConnection.connect(this.#run.path);
      const dice = this.#run.pick(3);
      if (dice === 0) guest.socket.write(`set ${this.#run.key()} 0 0 ${this.#run.length() + 10}\r\nabc`);
      else if (dice === 1) guest.socket.write('watch fetchers mutations evictions\r\n');
      else guest.socket.write(`get ${this.#run.key()} ${this.#run.key()}\r\nset `);
      await new Promise((resolve) => setTimeout(resolve, 20 + this.#run.pick(200)));
      guest.failure ??= new Error('gone on purpose');
      guest.socket.destroy();
    }
  }
}
