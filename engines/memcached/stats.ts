/** `stats` in all its forms: names and order as in 1.6.18, for both protocols. Cold: text is built as strings. */
import type { AsciiCommands } from './ascii-commands.ts';
import { type ConnectionRow, TRANSPORT_LOCAL, TRANSPORT_UDP } from './connection-table.ts';
import type { Core } from './core.ts';
import { resetLruCounters, sumOf } from './counters.ts';
import * as L from './layout.ts';
import { LOCK_LRU } from './lock-cells.ts';
import { tailAge } from './lru.ts';
import { fixedAsC } from './numbers.ts';
import * as R from './replies.ts';
import { threadsPerUdp } from './settings.ts';
import { CELL_LISTEN_DISABLED } from './shared-block.ts';
import { PAGE_POOL } from './slabs.ts';
import { CELL_WAS_RESET, SERVES_COMMANDS, SERVES_CONNECTIONS } from './thread-directory.ts';
import { VERSION } from './version.ts';

export type Stat = readonly [name: string, value: string | number];

const LRUS = [L.LRU_HOT, L.LRU_WARM, L.LRU_COLD, L.LRU_TEMP];
/** A dump of keys ends before it grows beyond this. */
const CACHEDUMP_BYTES_MAX = 2 * 1024 * 1024;

/** A read buffer of the original. */
const BUFFER_BYTES = 16_384;

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

export class StatsCommands {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The ASCII command. */
  ascii(line: AsciiCommands, count: number, conn: number) {
    const core = this.#core;
    const what = count === 2 ? '' : line.text(1);
    if (what === 'reset') {
      this.reset();
      return line.replyText('RESET');
    }
    if (what === 'detail') return this.#detail(line, count < 4 ? '' : line.text(2));
    if (what === 'cachedump') return this.#cachedump(line, count);
    const stats = this.byName(what, conn);
    if (stats === null) return core.output.write(R.ERROR);
    for (const [name, value] of stats)
      core.output.writeText(value === '' ? `STAT ${name}\r\n` : `STAT ${name} ${value}\r\n`);
    // Switching the size histogram answers in one line.
    if (what !== 'sizes_enable' && what !== 'sizes_disable') core.output.endStats();
  }

  /** @returns null for an unknown name */
  byName(what: string, conn: number): Stat[] | null {
    switch (what) {
      case '':
        return this.general();
      case 'settings':
        return this.settings();
      case 'items':
        return this.items();
      case 'slabs':
        return this.slabs();
      case 'sizes':
        return this.sizes();
      case 'sizes_enable':
        return this.#sizesEnable();
      case 'sizes_disable':
        this.#core.items.sizes.disable();
        return [['sizes_status', 'disabled']];
      case 'conns':
        return this.#conns(conn);
      case 'extstore':
        // External storage is not there, as in a server that was not told to use it.
        return [];
      default:
        return null;
    }
  }

  reset() {
    this.#core.countTraffic();
    this.#core.memory.u32[this.#core.shared.cell(CELL_WAS_RESET)] = 1;
    this.#core.resetCounters();
    resetLruCounters(this.#core.items.lru);
    this.#core.items.mover.resetCounts();
    this.#core.prefixes.clear();
    this.#core.watchers.resetCounters();
  }

  #detail(line: AsciiCommands, what: string) {
    const { settings, prefixes } = this.#core;
    if (what === 'dump') {
      this.#core.output.writeText(prefixes.dump().slice(0, -R.END.length));
      return this.#core.output.endStats();
    }
    if (what !== 'on' && what !== 'off') return line.replyText('CLIENT_ERROR usage: stats detail on|off|dump');
    settings.detailEnabled = what === 'on';
    this.#core.publishSettings();
    line.replyText('OK');
  }

  #cachedump(line: AsciiCommands, count: number) {
    const core = this.#core;
    const { items, u8 } = core;
    if (!core.settings.dumpEnabled) return line.replyText('CLIENT_ERROR stats cachedump not allowed');
    if (count < 5) return line.reply(R.BAD_LINE);
    const id = line.u32(2);
    const limit = line.u32(3);
    if (id < 0 || limit < 0) return line.reply(R.BAD_FORMAT);
    if (id >= L.CLASS_COUNT) return line.replyText('CLIENT_ERROR Illegal slab id');
    let bytes = 0;
    let shown = 0;
    // Nobody takes items out of the list meanwhile.
    const lock = LOCK_LRU + (id | L.LRU_COLD);
    core.locks.take(lock);
    let item = items.head(id | L.LRU_COLD);
    for (; item !== 0 && (limit === 0 || shown < limit); item = items.u32[(item + L.ITEM_NEXT) >>> 2]) {
      let key = '';
      const at = items.keyOf(item);
      for (let i = 0; i < u8[item + L.ITEM_NKEY]; i++) key += String.fromCharCode(u8[at + i]);
      const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2];
      const expiry = exptime === 0 ? 0 : exptime + items.processStarted;
      const text = `ITEM ${key} [${items.i32[(item + L.ITEM_NBYTES) >>> 2] - 2} b; ${expiry} s]\r\n`;
      bytes += text.length;
      if (bytes > CACHEDUMP_BYTES_MAX) break;
      core.output.writeText(text);
      shown++;
    }
    core.locks.give(lock);
    core.output.endStats();
  }

  general(): Stat[] {
    const core = this.#core;
    const { items, settings: s } = core;
    const { mover } = items;
    core.countTraffic();
    const c = core.totals();
    const usage = core.hooks.usage();
    const lru = items.lru;
    // Read buffers of 16 KiB: in the original each thread keeps one that it has read with, and one for its replies.
    const readers = core.directory.countThreads(SERVES_CONNECTIONS);
    const repliers = core.directory.countThreads(SERVES_COMMANDS);
    const readBuffers = readers + repliers;
    // A reset makes the original forget the objects that its threads keep for replies, and they take no others.
    const hasForgotten = core.memory.u32[core.shared.cell(CELL_WAS_RESET)] === 1;
    return [
      ['pid', usage.pid],
      ['uptime', core.uptimeSeconds],
      ['time', items.now + items.processStarted],
      ['version', VERSION],
      ['libevent', '2.1.12-stable'],
      ['pointer_size', 64],
      ['rusage_user', fixedAsC(usage.userSeconds, 6)],
      ['rusage_system', fixedAsC(usage.systemSeconds, 6)],
      ['max_connections', s.maxConns],
      ['curr_connections', c.currConnections],
      ['total_connections', c.totalConnections],
      ...(s.maxConnsFast ? ([['rejected_connections', c.rejectedConnections]] as Stat[]) : []),
      ['connection_structures', Math.max(core.directory.structures, c.currConnections + 1)],
      ['response_obj_oom', 0],
      ['response_obj_count', hasForgotten ? 0 : 1],
      ['response_obj_bytes', hasForgotten ? 0 : repliers * BUFFER_BYTES],
      ['read_buf_count', readBuffers],
      ['read_buf_bytes', readBuffers * BUFFER_BYTES],
      ['read_buf_bytes_free', Math.max(0, readers - 1) * BUFFER_BYTES],
      ['read_buf_oom', 0],
      ['reserved_fds', 5 * s.threads],
      ['cmd_get', c.getCmds],
      ['cmd_set', sumOf(c.setCmds)],
      ['cmd_flush', c.flushCmds],
      ['cmd_touch', c.touchCmds],
      ['cmd_meta', c.metaCmds],
      ['get_hits', sumOf(c.lruHits)],
      ['get_misses', c.getMisses],
      ['get_expired', c.getExpired],
      ['get_flushed', c.getFlushed],
      ['delete_misses', c.deleteMisses],
      ['delete_hits', sumOf(c.deleteHits)],
      ['incr_misses', c.incrMisses],
      ['incr_hits', sumOf(c.incrHits)],
      ['decr_misses', c.decrMisses],
      ['decr_hits', sumOf(c.decrHits)],
      ['cas_misses', c.casMisses],
      ['cas_hits', sumOf(c.casHits)],
      ['cas_badval', sumOf(c.casBadval)],
      ['touch_hits', sumOf(c.touchHits)],
      ['touch_misses', c.touchMisses],
      ['store_too_large', c.storeTooLarge],
      ['store_no_memory', c.storeNoMemory],
      ['auth_cmds', c.authCmds],
      ['auth_errors', c.authErrors],
      ...(s.idleTimeout > 0 ? ([['idle_kicks', c.idleKicks]] as Stat[]) : []),
      ['bytes_read', c.bytesRead],
      ['bytes_written', c.bytesWritten],
      ['limit_maxbytes', s.maxBytes],
      ['accepting_conns', 1 - core.memory.u32[core.shared.cell(CELL_LISTEN_DISABLED)]!],
      ['listen_disabled_num', c.listenDisabledNum],
      ['time_in_listen_disabled_us', c.listenDisabledUs],
      ['threads', s.threads],
      ['conn_yields', c.connYields],
      ['hash_power_level', items.table.power],
      ['hash_bytes', items.table.bytes],
      ['hash_is_expanding', items.table.expanding ? 1 : 0],
      ...(s.slabReassign
        ? ([
            ['slab_reassign_rescues', mover.count('rescues')],
            ['slab_reassign_chunk_rescues', mover.count('chunkRescues')],
            ['slab_reassign_evictions_nomem', mover.count('evictionsNoMem')],
            ['slab_reassign_inline_reclaim', mover.count('inlineReclaim')],
            ['slab_reassign_busy_items', mover.count('busyItems')],
            ['slab_reassign_busy_deletes', mover.count('busyDeletes')],
            ['slab_reassign_running', mover.isRunning ? 1 : 0],
            ['slabs_moved', mover.count('moved')],
          ] as Stat[])
        : []),
      ...(s.lruCrawler
        ? ([
            ['lru_crawler_running', core.crawler.isRunning ? 1 : 0],
            ['lru_crawler_starts', c.lruCrawlerStarts],
          ] as Stat[])
        : []),
      ...(s.lruMaintainer ? ([['lru_maintainer_juggles', c.lruMaintainerJuggles]] as Stat[]) : []),
      ['malloc_fails', 0],
      ['log_worker_dropped', core.watchers.dropped],
      ['log_worker_written', core.watchers.written],
      ['log_watcher_skipped', core.watchers.skipped],
      ['log_watcher_sent', core.watchers.sent],
      ['log_watchers', core.watchers.count],
      ['unexpected_napi_ids', 0],
      ['round_robin_fallback', 0],
      ['bytes', items.currBytes],
      ['curr_items', items.currItems],
      ['total_items', c.totalItems],
      ['slab_global_page_pool', items.slabs.pageCount(PAGE_POOL)],
      ['expired_unfetched', sumOf(lru.expiredUnfetched)],
      ['evicted_unfetched', sumOf(lru.evictedUnfetched)],
      ...(s.lruMaintainer ? ([['evicted_active', sumOf(lru.evictedActive)]] as Stat[]) : []),
      ['evictions', sumOf(lru.evicted)],
      ['reclaimed', sumOf(lru.reclaimed)],
      ['crawler_reclaimed', sumOf(lru.crawlerReclaimed)],
      ['crawler_items_checked', sumOf(lru.crawlerItemsChecked)],
      ['lrutail_reflocked', sumOf(lru.tailReflocked)],
      ...(s.lruMaintainer
        ? ([
            ['moves_to_cold', sumOf(lru.movesToCold)],
            ['moves_to_warm', sumOf(lru.movesToWarm)],
            ['moves_within_lru', sumOf(lru.movesWithinLru)],
            ['direct_reclaims', sumOf(lru.directReclaims)],
            ['lru_bumps_dropped', core.maintainer.bumpsDropped],
          ] as Stat[])
        : []),
    ];
  }

  settings(): Stat[] {
    const { settings: s, items } = this.#core;
    return [
      ['maxbytes', s.maxBytes],
      ['maxconns', s.maxConns],
      ['tcpport', s.tcpPort],
      ['udpport', s.udpPort],
      ['inter', s.inter ?? 'NULL'],
      ['verbosity', s.verbose],
      ['oldest', items.oldestLive],
      ['evictions', s.evictToFree ? 'on' : 'off'],
      ['domain_socket', s.socketPath ?? 'NULL'],
      ['umask', s.access.toString(8)],
      ['shutdown_command', yesNo(s.shutdownCommand)],
      ['growth_factor', fixedAsC(s.factor, 2)],
      ['chunk_size', s.chunkSize],
      ['num_threads', s.threads],
      ['num_threads_per_udp', threadsPerUdp(s)],
      ['stat_key_prefix', s.prefixDelimiter],
      ['detail_enabled', yesNo(s.detailEnabled)],
      ['reqs_per_event', s.reqsPerEvent],
      ['cas_enabled', yesNo(s.useCas)],
      ['tcp_backlog', s.backlog],
      ['binding_protocol', s.protocol],
      ['auth_enabled_sasl', yesNo(s.sasl)],
      ['auth_enabled_ascii', s.authFile ?? 'no'],
      ['item_size_max', s.itemSizeMax],
      ['maxconns_fast', yesNo(s.maxConnsFast)],
      ['hashpower_init', s.hashPowerInit],
      ['slab_reassign', yesNo(s.slabReassign)],
      ['slab_automove', s.slabAutomove],
      ['slab_automove_ratio', fixedAsC(s.slabAutomoveRatio, 2)],
      ['slab_automove_window', s.slabAutomoveWindow],
      ['slab_chunk_max', s.slabChunkSizeMax],
      ['lru_crawler', yesNo(s.lruCrawler)],
      ['lru_crawler_sleep', s.lruCrawlerSleep],
      ['lru_crawler_tocrawl', s.lruCrawlerToCrawl],
      ['tail_repair_time', s.tailRepairTime],
      ['flush_enabled', yesNo(s.flushEnabled)],
      ['dump_enabled', yesNo(s.dumpEnabled)],
      ['hash_algorithm', s.hashAlgorithm],
      ['lru_maintainer_thread', yesNo(s.lruMaintainer)],
      ['lru_segmented', yesNo(s.lruSegmented)],
      ['hot_lru_pct', s.hotLruPct | 0],
      ['warm_lru_pct', s.warmLruPct | 0],
      ['hot_max_factor', fixedAsC(s.hotMaxFactor, 2)],
      ['warm_max_factor', fixedAsC(s.warmMaxFactor, 2)],
      ['temp_lru', yesNo(s.tempLru)],
      ['temporary_ttl', s.temporaryTtl],
      ['idle_timeout', s.idleTimeout],
      ['watcher_logbuf_size', s.watcherLogbufSize],
      ['worker_logbuf_size', s.workerLogbufSize],
      ['read_buf_mem_limit', s.readBufMemLimit],
      ['track_sizes', yesNo(items.sizes.enabled)],
      ['inline_ascii_response', 'no'],
      // External storage is not there; the original prints its defaults all the same.
      ['ext_item_size', s.ext.itemSize],
      ['ext_item_age', s.ext.itemAge],
      ['ext_low_ttl', s.ext.lowTtl],
      ['ext_recache_rate', s.ext.recacheRate],
      ['ext_wbuf_size', s.ext.writeBufferSize],
      ['ext_compact_under', s.ext.compactUnder],
      ['ext_drop_under', s.ext.dropUnder],
      ['ext_max_sleep', s.ext.maxSleep],
      ['ext_max_frag', fixedAsC(s.ext.maxFrag, 2)],
      ['slab_automove_freeratio', fixedAsC(s.slabAutomoveFreeRatio, 3)],
      ['ext_drop_unread', yesNo(s.ext.dropUnread)],
      ['ssl_enabled', 'no'],
      ['ssl_chain_cert', s.ssl.chainCert ?? '(null)'],
      ['ssl_key', s.ssl.key ?? '(null)'],
      ['ssl_verify_mode', s.ssl.verifyMode],
      ['ssl_keyformat', s.ssl.keyFormat],
      ['ssl_ciphers', s.ssl.ciphers ?? 'NULL'],
      ['ssl_ca_cert', s.ssl.caCert ?? 'NULL'],
      ['ssl_wbuf_size', s.ssl.writeBufferSize],
      ['ssl_session_cache', yesNo(s.ssl.sessionCache)],
      ['ssl_kernel_tls', yesNo(s.ssl.kernelTls)],
      ['ssl_min_version', s.ssl.minVersion],
      ['num_napi_ids', '(null)'],
      ['memory_file', s.memoryFile ?? '(null)'],
    ];
  }

  slabs(): Stat[] {
    const { items } = this.#core;
    const c = this.#core.totals();
    const { slabs } = items;
    const stats: Stat[] = [];
    let active = 0;
    for (let id = 1; id <= slabs.largestClass; id++) {
      const pages = slabs.pageCount(id);
      if (pages === 0) continue;
      active++;
      let hits = 0;
      for (const lru of LRUS) hits += c.lruHits[id | lru]!;
      const perPage = slabs.chunksPerPage[id]!;
      const rows: Stat[] = [
        ['chunk_size', slabs.chunkSize[id]!],
        ['chunks_per_page', perPage],
        ['total_pages', pages],
        ['total_chunks', pages * perPage],
        ['used_chunks', slabs.usedCount(id)],
        ['free_chunks', slabs.freeChunks(id)],
        ['free_chunks_end', 0],
        ['get_hits', hits],
        ['cmd_set', c.setCmds[id]!],
        ['delete_hits', c.deleteHits[id]!],
        ['incr_hits', c.incrHits[id]!],
        ['decr_hits', c.decrHits[id]!],
        ['cas_hits', c.casHits[id]!],
        ['cas_badval', c.casBadval[id]!],
        ['touch_hits', c.touchHits[id]!],
      ];
      for (const [name, value] of rows) stats.push([`${id}:${name}`, value]);
    }
    stats.push(['active_slabs', active], ['total_malloced', slabs.mallocedBytes]);
    return stats;
  }

  items(): Stat[] {
    const { items, settings } = this.#core;
    const counters = this.#core.totals();
    const { lru } = items;
    const stats: Stat[] = [];
    for (let id = 1; id < L.CLASS_COUNT; id++) {
      const sum = (values: { [index: number]: number }): number =>
        LRUS.reduce((all, bit) => all + values[id | bit]!, 0);
      const number = LRUS.reduce((all, bit) => all + items.lruItems(id | bit), 0);
      if (number === 0) continue;
      const rows: Stat[] = [['number', number]];
      if (settings.lruMaintainer) {
        rows.push(
          ['number_hot', items.lruItems(id | L.LRU_HOT)],
          ['number_warm', items.lruItems(id | L.LRU_WARM)],
          ['number_cold', items.lruItems(id | L.LRU_COLD)],
        );
        if (settings.tempLru) rows.push(['number_temp', items.lruItems(id | L.LRU_TEMP)]);
        rows.push(['age_hot', tailAge(items, id | L.LRU_HOT)], ['age_warm', tailAge(items, id | L.LRU_WARM)]);
      }
      rows.push(
        ['age', tailAge(items, id | L.LRU_COLD)],
        ['mem_requested', LRUS.reduce((all, bit) => all + items.lruBytes(id | bit), 0)],
        ['evicted', sum(lru.evicted)],
        ['evicted_nonzero', sum(lru.evictedNonzero)],
        ['evicted_time', lru.evictedTime[id | L.LRU_COLD]!],
        ['outofmemory', sum(lru.outOfMemory)],
        ['tailrepairs', sum(lru.tailRepairs)],
        ['reclaimed', sum(lru.reclaimed)],
        ['expired_unfetched', sum(lru.expiredUnfetched)],
        ['evicted_unfetched', sum(lru.evictedUnfetched)],
      );
      if (settings.lruMaintainer) rows.push(['evicted_active', sum(lru.evictedActive)]);
      rows.push(
        ['crawler_reclaimed', sum(lru.crawlerReclaimed)],
        ['crawler_items_checked', sum(lru.crawlerItemsChecked)],
        ['lrutail_reflocked', sum(lru.tailReflocked)],
      );
      if (settings.lruMaintainer) {
        rows.push(
          ['moves_to_cold', sum(lru.movesToCold)],
          ['moves_to_warm', sum(lru.movesToWarm)],
          ['moves_within_lru', sum(lru.movesWithinLru)],
          ['direct_reclaims', sum(lru.directReclaims)],
          ['hits_to_hot', counters.lruHits[id | L.LRU_HOT]!],
          ['hits_to_warm', counters.lruHits[id | L.LRU_WARM]!],
          ['hits_to_cold', counters.lruHits[id | L.LRU_COLD]!],
          ['hits_to_temp', counters.lruHits[id | L.LRU_TEMP]!],
        );
      }
      for (const [name, value] of rows) stats.push([`items:${id}:${name}`, value]);
    }
    return stats;
  }

  sizes(): Stat[] {
    const { sizes } = this.#core.items;
    if (!sizes.enabled) return [['sizes_status', 'disabled']];
    return sizes.entries().map(([bytes, count]) => [String(bytes), count]);
  }

  #sizesEnable(): Stat[] {
    const { items, settings } = this.#core;
    if (!settings.useCas) {
      return [
        ['sizes_status', 'error'],
        ['sizes_error', 'cas_support_disabled'],
      ];
    }
    if (items.sizes.enabled || items.sizes.enable(items.casIds.next())) return [['sizes_status', 'enabled']];
    return [
      ['sizes_status', 'error'],
      ['sizes_error', 'no_memory'],
    ];
  }

  /** Connections of all threads, and the listening sockets. */
  #conns(asking: number): Stat[] {
    const core = this.#core;
    const stats: Stat[] = [];
    for (const row of core.connections.table.all()) {
      const isMine = row.thread === core.thread && !row.isListening;
      let { state } = row;
      if (isMine && row.conn === asking) state = 'conn_parse_cmd';
      else if (isMine && core.transport.outputBytes(row.conn) > 0) state = 'conn_mwrite';
      const { fd } = row;
      const isUdp = row.transport === TRANSPORT_UDP;
      if (isUdp) stats.push([`${fd}:UDP`, 'UDP']);
      stats.push([`${fd}:addr`, this.#address(row, row.peer, row.isListening || isUdp)]);
      if (!row.isListening && !isUdp) stats.push([`${fd}:listen_addr`, this.#address(row, row.local, true)]);
      stats.push([`${fd}:state`, isUdp ? 'conn_read' : state]);
      stats.push([`${fd}:secs_since_last_cmd`, core.items.now - row.lastCommand]);
    }
    return stats;
  }

  #address(row: ConnectionRow, name: string, isOurs: boolean): string {
    // The peer of a Unix socket has no name, for which the original has these words.
    if (row.transport === TRANSPORT_LOCAL) return isOurs ? `unix:${this.#core.settings.socketPath}` : '?:<AF 0>';
    return `${row.transport === TRANSPORT_UDP ? 'udp' : 'tcp'}${name.startsWith('[') ? '6' : ''}:${name}`;
  }
}
