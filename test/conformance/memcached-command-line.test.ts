import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OptionError, parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { RawConnection } from '../memcached/real-memcached.ts';
import { describeReal, requireReal } from '../support/real.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { CommandLineMaker } from './memcached-command-lines.ts';

/** Words that stand for files of the test. */
const NO_FILE = '/nonexistent/file';

/** Command lines that are refused, or that print and leave. */
const REFUSED = `
-Q|-E|-K|-g|-j|-x|-T|-O x|-z|-q|-y|-w|-G|-H|-J|-1
--foo|--foo=3|--m 3|--m|--mem=0|--v|--disable|--disable -V|--=5|--s 1|--enable|--max
-p|-U|-s|-c|-f|-o|-l|-t|-Mc|-vMc|--port|--conn-limit|--pidfile|--extended
--help=3|--version=3|--license=x|--daemon=1|--disable-cas=0|--enable-sasl=1
-p 99999|-p 65536|-p 70000 -U 5|-U 99999|--port=99999
-c 0|-c -1|-c abc|-c0|-Mc0|-vMc 0|--conn-limit=0|--conn-limit 0|--conn 0|--co=0|foo -c 0|-c 0 -Q|-Q -c 0
-t 0|-t -1|-t x|-t 65 -c 0|-t 65 -Q|--threads=0|--thr 0
-R 0|-R x|--max-reqs-per-event=0|-f 1|-f 0.5|-f x|-f 1.0|--slab-growth=1|-n 0|-n x|--slab-m 0
-D ''|-B foo|-B ASCII|--proto=foo|-N 0|-N x|-N 5|-t 2 -N 3
-I 1k|-I 1023|-I 1024|-I 1500k|-I 33m|-I 2000m|-I 1x|-I x|-I 1g|-I 600K|-I 2m -m 3|-I 1025m -m 4000|-I -5
-I ''|-m 0|-m 1|-m x|--memory-limit=1|--max-item-size=1k
-o|-o foo|-o foo=5|-o =5|-o ,|-o maxconns_fast,,foo|-o chunked_items|-o lru_segmented|-o no_inline_ascii_response
-o hashpower|-o hashpower=|-o hashpower=abc|-o hashpower=5|-o hashpower=11|-o hashpower=12|-o hashpower=33|-o hashpower=99|-o hashpower=13 -t 8
-o slab_automove=7|-o slab_automove=-1|-o slab_automove_ratio|-o slab_automove_ratio=0|-o slab_automove_ratio=1.5|-o slab_automove_ratio=x
-o slab_automove_window|-o slab_automove_window=2|-o slab_automove_window=x|-o slab_automove_freeratio|-o slab_automove_freeratio=x
-o slab_chunk_max=1023|-o slab_chunk_max=-5|-o slab_chunk_max=3|-o slab_chunk_max=524289|-o slab_chunk_max=2097152|-I 2m -o slab_chunk_max=2097152
-o slab_sizes=|-o slab_sizes=10-20|-o slab_sizes=abc|-o slab_sizes=200-100|-o slab_sizes=96-100|-o slab_sizes=100-108|-o slab_sizes=600000
-o slab_sizes=100-200-50|-o slab_sizes=100,200|-o slab_sizes=100x-200|-o slab_sizes=47
-o tail_repair_time|-o tail_repair_time=9|-o tail_repair_time=x|-o hash_algorithm|-o hash_algorithm=|-o hash_algorithm=JENKINS
-o lru_crawler_sleep|-o lru_crawler_sleep=-1|-o lru_crawler_sleep=1000001|-o lru_crawler_tocrawl|-o lru_crawler_tocrawl=x|-o lru_crawler_tocrawl=-1
-o hot_lru_pct|-o hot_lru_pct=0|-o hot_lru_pct=79|-o hot_lru_pct=80|-o hot_lru_pct=90|-o warm_lru_pct|-o warm_lru_pct=0|-o hot_lru_pct=40,warm_lru_pct=41
-o hot_max_factor|-o hot_max_factor=0|-o warm_max_factor|-o warm_max_factor=-1|-o temporary_ttl|-o temporary_ttl=3,no_lru_maintainer
-o idle_timeout|-o watcher_logbuf_size|-o watcher_logbuf_size=x|-o worker_logbuf_size|-o worker_logbuf_size=|-o worker_logbuf_size=9
-o read_buf_mem_limit|-o read_buf_mem_limit=x|-o no_modern,foo|-o no_modern,slab_automove=3|-o resp_obj_mem_limit=5,foo
-o ext_path|-o ext_path=/tmp/x|-o ext_page_size|-o ext_page_size=x|-o ext_threads|-o ext_item_age=x|-o ext_low_ttl=|-o ext_max_frag=x|-o ext_wbuf_size
-o ssl_chain_cert|-o ssl_key|-o ssl_verify_mode|-o ssl_verify_mode=x|-o ssl_verify_mode=4|-o ssl_keyformat|-o ssl_keyformat=x|-o ssl_ciphers
-o ssl_ca_cert|-o ssl_wbuf_size|-o ssl_wbuf_size=x|-o ssl_min_version|-o ssl_min_version=x|-o ssl_min_version=9|-Z -p 0
-S -B ascii|-S -B auto|-S -U 1|-S -B binary -U 5|-Y FILE -B auto|-Y FILE -B binary|-Y FILE -U 5
-L -m 38|-l notls:127.0.0.1|-l [::1|-l tag_x:127.0.0.1|-l 127.0.0.1:x|-l proto[ascii:1.1.1.1|-l tag[:1.1.1.1|-l tag[]:1.1.1.1|-l tag[123456789]:1.1.1.1
-l proto[proxy]:1.1.1.1|-l [::1]:x
-t 99999999999999999999|-c 99999999999999999999|-R 9223372036854775807 -c 0|-R -9223372036854775809|-I 4095m -m 4000|-I 4096m|-I 2048m -m 9000|-o slab_automove_ratio=-0x1
-o slab_sizes=96-112 -n -60|-o hashpower=4294967295|-o tail_repair_time=4294967305|-f 0x1|-f 0x|-f -inf
-V|-vV|-V -Q|foo bar -V|--vers|--verb -V|-vvv -V|-t 65 -V|-C -F -X -W -A -V
`;

/** Command lines of servers that start; `stats settings` is compared. */
const ACCEPTED = `
-p abc|-p -1|-p -1 -U 0|--por=x=y|-- -c 0|foo bar|-|-m 2 -I 1m|-m 64x|-M|-f 1.01|-f 100|-n 1|-n 100000|-D x|-D xyz|-R 5|-R 5x|-b 5|-b -1|-C
-F|-X|-W|-A|-a 777|-a 9|-a 0777|-L|-m 39 -L|-t 5x|-t 64|-I 512k|-I 2m|-I 1536k|-I 32m|-I 5M|-I 1024m -m 3000|-B ascii|-B auto|--co=900|--disable-e
-o slab_chunk_max=16384|-o slab_chunk_max=1024|-o slab_chunk_max=2048 -I 2m|-I 2m -o slab_chunk_max=16|-I 512k -o slab_chunk_max=256|-o no_chunked_items
-o no_chunked_items -I 4m|-o slab_chunk_max=16384,no_modern|-o no_modern -I 2m|-o no_modern|-o no_modern,lru_maintainer,lru_crawler|-o modern|-o modern=3
-o slab_reassign=3|-o no_slab_reassign|-o no_slab_reassign,slab_automove=2|-o slab_automove|-o slab_automove=|-o slab_automove=x|-o no_slab_automove
-o slab_automove_ratio=1|-o slab_automove_ratio=0.25|-o slab_automove_window=3|-o slab_automove_freeratio=0.5|-o slab_automove_freeratio=2
-o tail_repair_time=10|-o hash_algorithm=jenkins|-o hash_algorithm=xxh3|-o lru_crawler=1|-o no_lru_crawler|-o lru_crawler_sleep=1000000|-o lru_crawler_sleep=x
-o lru_crawler_tocrawl=5|-o lru_crawler_tocrawl=5000000000|-o no_lru_maintainer|-o lru_maintainer|-o hot_lru_pct=40,warm_lru_pct=40|-o hot_max_factor=0.5
-o warm_max_factor=3|-o temporary_ttl=0|-o temporary_ttl=30|-o temporary_ttl=-1|-o idle_timeout=5|-o idle_timeout=x|-o watcher_logbuf_size=5
-o worker_logbuf_size=64|-o worker_logbuf_size=64,slab_sizes=100-200|-o track_sizes|-o inline_ascii_resp|-o no_inline_ascii_resp|-o no_drop_privileges|-o drop_privileges|-o resp_obj_mem_limit=5
-o read_buf_mem_limit=8|-o sock_cookie_id=5|-o no_maxconns_fast|-o maxconns_fast,|-o hashpower=13|-o hashpower=20|-o hashpower=12,hashpower=13|-o no_hashexpand
-o slab_sizes=100-200-300|-o slab_sizes=48|-o slab_sizes=101-203|-o slab_sizes=100--200|-o ext_page_size=64|-o ext_item_size=5,ext_item_age=7,ext_low_ttl=3
-o ext_drop_unread,ext_recache_rate=5,ext_compact_under=6,ext_drop_under=7,ext_max_sleep=8,ext_max_frag=0.5,ext_wbuf_size=8
-o ssl_chain_cert=/x,ssl_key=/y,ssl_verify_mode=1,ssl_keyformat=1,ssl_ciphers=a,ssl_ca_cert=b,ssl_wbuf_size=4,ssl_session_cache,ssl_kernel_tls,ssl_min_version=3
-f inf|-f 0x1p1|-f 0x1.8z|-f 1.125|-f infinitely|-n -60|-n 2147483648|-I 4097m -m 4000|-b 4294967301|-o hot_max_factor=nan
-o slab_automove_ratio=nan|-o slab_automove_ratio=0x1p-1|-o slab_automove_freeratio=inf|-o slab_automove_freeratio=0.0625|-o temporary_ttl=4294967301
-o temporary_ttl=2147483648|-o ext_max_frag=0x1p-3|-o warm_max_factor=1e30|-o idle_timeout=4294967301
-l 127.0.0.1|-l 127.0.0.1,::1|-l 127.0.0.1 -l ::1|-l 127.0.0.1 -l 127.0|-l ,|-U 1|-U -1|-v|-Y FILE|-e MEMORY
`;

function commandLines(table: string, file: string): string[][] {
  const words = (line: string): string[] =>
    line.split(' ').map((word) => ({ "''": '', FILE: file, MEMORY: `${file}.memory` })[word] ?? word);
  return table.trim().split(/[|\n]/).map(words);
}

interface Ending {
  code: number;
  /** The first line on standard error, or else on standard output. */
  line: string;
}

const END = Buffer.from('END\r\n');
const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : [];

function runReal(args: string[]): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(requireReal('memcached')!, [...asRoot, ...args], { timeout: 30_000 });
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      err += data.toString();
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (signal !== null) reject(new Error(`${args.join(' ')}: ${signal}`));
      else resolve({ code: code!, line: firstLine(err || out) });
    });
  });
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/^\S*memcached: /, 'memcached: ');
}

function runOurs(args: string[]): Ending {
  try {
    const options = parseMemcachedOptions(args);
    if (options.show !== 'version') throw new Error(`${args.join(' ')} is accepted`);
    return { code: 0, line: firstLine([...options.warnings, 'memcached 1.6.18'].join('\n')) };
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    return { code: error.exitCode, line: firstLine(error.message) };
  }
}

/** `stats settings`, but for what differs on purpose. */
function linesOf(reply: string): string[] {
  return reply.split('\r\n').filter((line) => !/^STAT (domain_socket|verbosity|oldest|maxbytes) /.test(line));
}

async function settingsOfReal(args: string[], path: string): Promise<string[]> {
  const child = spawn(requireReal('memcached')!, [...asRoot, '-s', path, ...args], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  try {
    const connection = await connectUnix(path);
    if (args.includes('-Y')) await connection.ask('set x 0 0 13\r\nuser password\r\n', Buffer.from('STORED\r\n'));
    return linesOf((await connection.ask('stats settings\r\n', END)).toString());
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

function settingsOfOurs(args: string[]): string[] {
  const { settings } = parseMemcachedOptions(args);
  // A table or a memory of that size is not what is asked for here.
  const server = new InProcess({
    ...settings,
    maxBytes: 64 * 1024 * 1024,
    hashPowerInit: 0,
    sasl: false,
    authFile: null,
  });
  const conn = server.open();
  Object.assign(server.core.settings, settings);
  return linesOf(server.send(conn, 'stats settings\r\n'));
}

async function connectUnix(path: string): Promise<RawConnection> {
  for (const deadline = Date.now() + 30_000; ; ) {
    const socket = net.connect({ path });
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (isOpen) return new RawConnection(socket);
    if (Date.now() > deadline) throw new Error(`Nobody listens on ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describeReal(['memcached'], 'A command line', () => {
  let folder: string;
  let file: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cachelab-mc-'));
    file = join(folder, 'passwords');
    writeFileSync(file, 'user:password\n');
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe.each(REFUSED.trim().split('\n'))('of %s', (line) => {
    it('that is wrong ends with the exit code and first line of the original', { timeout: 60_000 }, async () => {
      const compare = async (args: string[]): Promise<void> => {
        expect([args, runOurs(args)]).toEqual([args, await runReal(args)]);
      };
      await Promise.all(commandLines(line, file).map(compare));
    });
  });

  it('at random ends as the original does, or goes as far', { timeout: 60_000 * testScale }, async () => {
    const random = seededRandom('command lines');
    const maker = new CommandLineMaker(random);
    for (let round = 0; round < 30 * testScale; round++) {
      const lines = Array.from({ length: 10 }, () => maker.next());
      const outcomes = await Promise.all(lines.map(runReal));
      for (const [i, args] of lines.entries()) expect([args, runOurs(args)]).toEqual([args, outcomes[i]]);
    }
  });

  describe.each(ACCEPTED.trim().split('\n'))('of %s', (line) => {
    it('makes the settings that it makes in the original', { timeout: 60_000 }, async () => {
      await Promise.all(
        commandLines(line, file).map(async (args, i) => {
          const all = [...(args.includes('-t') ? [] : ['-t', '4']), ...args];
          const theirs = await settingsOfReal(all, join(folder, `socket${i}`));
          expect([args, settingsOfOurs(all)]).toEqual([args, theirs]);
        }),
      );
    });
  });

  it('without a readable password file is refused', async () => {
    expect((await runReal(['-Y', NO_FILE])).code).toBe(1);
  });
});
