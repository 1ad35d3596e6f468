/** The text of INFO, section by section. A section is its lines; the caller puts them together. */
import { adminOf } from './admin.ts';
import type { Command, CommandTable } from './command.ts';
import { REDIS_VERSION } from './commands/connection.ts';
import { directives, POLICY_CODES } from './config-table.ts';
import { memoryOverhead } from './memory-overhead.ts';
import type { RedisCore } from './redis-core.ts';
import { dictSize } from './structures/dict-layout.ts';

const SECONDS_PER_DAY = 86_400;

type Fields = (readonly [name: string, value: string | number])[];

/** Bytes as people read them: "943.35K". */
export function humanBytes(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return unit === 0 ? `${Math.floor(bytes)}B` : `${value.toFixed(2)}${units[unit]}`;
}

const fixed = (value: number): string => value.toFixed(2);

function server(core: RedisCore): Fields {
  const admin = adminOf(core);
  const uptime = core.unixtime - core.startedUnixtime;
  return [
    ['redis_version', REDIS_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_build_id', 'cachelab'],
    ['redis_mode', 'standalone'],
    ['os', core.host.os],
    ['arch_bits', 64],
    ['monotonic_clock', admin.host.monotonicClockName],
    ['multiplexing_api', core.host.eventLoop],
    ['process_id', core.host.pid],
    ['process_supervised', 'no'],
    ['run_id', admin.runId],
    ['tcp_port', core.host.tcpPort],
    ['server_time_usec', Math.floor(core.nowMs) * 1000],
    ['uptime_in_seconds', uptime],
    ['uptime_in_days', Math.floor(uptime / SECONDS_PER_DAY)],
    ['hz', core.hz],
    ['configured_hz', core.config.hz],
    ['lru_clock', core.lruClock],
    ['executable', core.host.executable],
    ['config_file', core.host.configFile],
    ['io_threads_active', 0],
  ];
}

function clients(core: RedisCore): Fields {
  let maxInput = 0;
  let maxOutput = 0;
  for (const c of core.clients) {
    if (c === null) continue;
    maxInput = Math.max(maxInput, core.transport.inputCapacity(c.conn));
    maxOutput = Math.max(maxOutput, core.transport.outputMemory(c.conn));
  }
  return [
    ['connected_clients', core.clientCount],
    ['cluster_connections', 0],
    ['maxclients', core.config.maxclients],
    ['client_recent_max_input_buffer', maxInput],
    ['client_recent_max_output_buffer', maxOutput],
    ['blocked_clients', core.blocked.count + core.pausedClients.length],
    ['tracking_clients', core.tracking.clientCount],
    ['clients_in_timeout_table', core.blocked.timed],
  ];
}

/** A figure, and the same for people. */
function both(name: string, bytes: number): Fields {
  return [
    [name, bytes],
    [`${name}_human`, humanBytes(bytes)],
  ];
}

function scripts(core: RedisCore): Fields {
  const { scripting } = core;
  const evalBytes = scripting?.evalBytes ?? 0;
  const functionBytes = scripting?.functionBytes ?? 0;
  const scriptBytes = scripting?.scripts.bytes ?? 0;
  const libraryBytes = scripting?.functions.bytes ?? 0;
  return [
    ['used_memory_lua', evalBytes],
    ['used_memory_vm_eval', evalBytes],
    ['used_memory_lua_human', humanBytes(evalBytes)],
    ['used_memory_scripts_eval', scriptBytes],
    ['number_of_cached_scripts', scripting?.scripts.size ?? 0],
    ['number_of_functions', scripting?.functions.functionCount ?? 0],
    ['number_of_libraries', scripting?.functions.libraries.size ?? 0],
    ['used_memory_vm_functions', functionBytes],
    ...both('used_memory_vm_total', evalBytes + functionBytes),
    ['used_memory_functions', libraryBytes],
    ...both('used_memory_scripts', scriptBytes + libraryBytes),
  ];
}

function memory(core: RedisCore): Fields {
  const admin = adminOf(core);
  const m = memoryOverhead(core);
  const ratio = (a: number, b: number) => fixed(b === 0 ? 0 : a / b);
  const policyWords = directives['maxmemory-policy'].words;
  return [
    ...both('used_memory', m.used),
    ...both('used_memory_rss', m.resident),
    ...both('used_memory_peak', m.peak),
    ['used_memory_peak_perc', `${fixed(m.peakPercent)}%`],
    ['used_memory_overhead', m.overhead],
    ['used_memory_startup', m.startup],
    ['used_memory_dataset', m.dataset],
    ['used_memory_dataset_perc', `${fixed(m.datasetPercent)}%`],
    ['allocator_allocated', m.allocated],
    ['allocator_active', m.active],
    ['allocator_resident', m.allocatorResident],
    ...both('total_system_memory', admin.host.totalMemoryBytes),
    ...scripts(core),
    ...both('maxmemory', core.config.maxmemory),
    ['maxmemory_policy', policyWords[POLICY_CODES.indexOf(core.config.maxmemoryPolicy)]!],
    ['allocator_frag_ratio', ratio(m.active, m.allocated)],
    ['allocator_frag_bytes', m.active - m.allocated],
    ['allocator_rss_ratio', ratio(m.allocatorResident, m.active)],
    ['allocator_rss_bytes', m.allocatorResident - m.active],
    ['rss_overhead_ratio', ratio(m.resident, m.allocatorResident)],
    ['rss_overhead_bytes', m.resident - m.allocatorResident],
    ['mem_fragmentation_ratio', ratio(m.resident, m.used)],
    ['mem_fragmentation_bytes', m.resident - m.used],
    ['mem_not_counted_for_evict', 0],
    ['mem_replication_backlog', 0],
    ['mem_total_replication_buffers', 0],
    ['mem_clients_slaves', 0],
    ['mem_clients_normal', m.clientsNormal],
    ['mem_cluster_links', 0],
    ['mem_aof_buffer', core.persistence.aof.length],
    ['mem_allocator', admin.host.allocatorName],
    ['active_defrag_running', core.defrag.running],
    ['lazyfree_pending_objects', core.lazyFree.pendingObjects],
    ['lazyfreed_objects', core.lazyFree.freedObjects],
  ];
}

/** What is there only with an append-only file. */
function appendOnly(core: RedisCore): Fields {
  const { aof, rewriteScheduled } = core.persistence;
  return [
    ['aof_current_size', aof.size],
    ['aof_base_size', aof.rewriteBaseSize],
    ['aof_pending_rewrite', rewriteScheduled ? 1 : 0],
    ['aof_buffer_length', aof.length],
    ['aof_pending_bio_fsync', aof.sync.busy ? 1 : 0],
    ['aof_delayed_fsync', aof.delayedSyncs],
  ];
}

/** What is there only while data are loaded. */
function loadingFields(core: RedisCore): Fields {
  const { progress } = core.persistence;
  return [
    ['loading_start_time', progress.startedUnixtime],
    ['loading_total_bytes', progress.totalBytes],
    ['loading_rdb_used_mem', progress.rdbUsedMemory],
    ['loading_loaded_bytes', progress.loadedBytes],
    ['loading_loaded_perc', fixed((progress.loadedBytes * 100) / Math.max(1, progress.totalBytes))],
    ['loading_eta_seconds', progress.secondsLeft(core.unixtime)],
  ];
}

function persistence(core: RedisCore): Fields {
  const saver = core.persistence;
  const { aof } = saver;
  // As with the original it counts as switched off while it is being loaded at the start.
  const on = aof.state !== 'off';
  const done = saver.saving ? (saver.snapshots?.keysSaved ?? 0) : 0;
  const total = saver.saving ? saver.keysTotal : 0;
  return [
    ['loading', saver.loading ? 1 : 0],
    ['async_loading', 0],
    ['current_cow_peak', saver.saving ? saver.copiedPeak : 0],
    ['current_cow_size', saver.copiedBytes],
    ['current_cow_size_age', saver.saving ? core.unixtime - saver.copiedCountedAt : 0],
    ['current_fork_perc', (total === 0 ? 0 : (done * 100) / total).toFixed(2)],
    ['current_save_keys_processed', done],
    ['current_save_keys_total', total],
    ['rdb_changes_since_last_save', core.dirty],
    ['rdb_bgsave_in_progress', saver.saving && !saver.rewriting ? 1 : 0],
    ['rdb_last_save_time', saver.lastSave],
    ['rdb_last_bgsave_status', saver.lastSaveOk ? 'ok' : 'err'],
    ['rdb_last_bgsave_time_sec', saver.lastSaveSeconds],
    ['rdb_current_bgsave_time_sec', saver.savingSeconds],
    ['rdb_saves', saver.saves],
    ['rdb_last_cow_size', saver.lastCopiedBytes],
    ['rdb_last_load_keys_expired', saver.keysExpired],
    ['rdb_last_load_keys_loaded', saver.keysLoaded],
    ['aof_enabled', on ? 1 : 0],
    ['aof_rewrite_in_progress', saver.rewriting ? 1 : 0],
    ['aof_rewrite_scheduled', saver.rewriteScheduled ? 1 : 0],
    ['aof_last_rewrite_time_sec', saver.lastRewriteSeconds],
    ['aof_current_rewrite_time_sec', saver.rewritingSeconds],
    ['aof_last_bgrewrite_status', saver.lastRewriteOk ? 'ok' : 'err'],
    ['aof_rewrites', saver.rewrites],
    ['aof_rewrites_consecutive_failures', saver.rewriteFailures],
    ['aof_last_write_status', aof.writeError === '' ? 'ok' : 'err'],
    ['aof_last_cow_size', saver.lastRewriteCopiedBytes],
    ['module_fork_in_progress', 0],
    ['module_fork_last_cow_size', 0],
    ...(on || (saver.starting && core.config.appendonly) ? appendOnly(core) : []),
    ...(saver.loading ? loadingFields(core) : []),
  ];
}

function stats(core: RedisCore): Fields {
  const admin = adminOf(core);
  const s = core.stats;
  const traffic = admin.traffic();
  const over = s.lastEvictionExceededUs === 0 ? 0 : Math.max(0, core.clock.monoUs() - s.lastEvictionExceededUs);
  const defragging = core.defrag.startedUs === 0 ? 0 : core.clock.monoUs() - core.defrag.startedUs;
  const ms = (us: number) => Math.floor(us / 1000);
  return [
    ['total_connections_received', s.totalConnectionsReceived],
    ['total_commands_processed', s.totalCommandsProcessed],
    ['instantaneous_ops_per_sec', Math.floor(admin.opsRate.perSecond)],
    ['total_net_input_bytes', traffic.bytesIn],
    ['total_net_output_bytes', traffic.bytesOut],
    ['total_net_repl_input_bytes', 0],
    ['total_net_repl_output_bytes', 0],
    ['instantaneous_input_kbps', fixed(admin.inputRate.perSecond / 1024)],
    ['instantaneous_output_kbps', fixed(admin.outputRate.perSecond / 1024)],
    ['instantaneous_input_repl_kbps', '0.00'],
    ['instantaneous_output_repl_kbps', '0.00'],
    ['rejected_connections', s.rejectedConnections],
    ['sync_full', 0],
    ['sync_partial_ok', 0],
    ['sync_partial_err', 0],
    ['expired_keys', s.expiredKeys],
    ['expired_stale_perc', fixed(s.expiredStalePerc * 100)],
    ['expired_time_cap_reached_count', s.expiredTimeCapReachedCount],
    ['expire_cycle_cpu_milliseconds', ms(s.expireCycleUsed)],
    ['evicted_keys', s.evictedKeys],
    ['evicted_clients', s.evictedClients],
    ['total_eviction_exceeded_time', ms(s.totalEvictionExceededUs + over)],
    ['current_eviction_exceeded_time', ms(over)],
    ['keyspace_hits', s.keyspaceHits],
    ['keyspace_misses', s.keyspaceMisses],
    ['pubsub_channels', admin.pubsub.channels.size],
    ['pubsub_patterns', admin.pubsub.patterns.size],
    ['pubsubshard_channels', admin.pubsub.shardChannels.size],
    ['latest_fork_usec', core.persistence.lastPauseUs],
    ['total_forks', core.persistence.snapshotsStarted],
    ['migrate_cached_sockets', 0],
    ['slave_expires_tracked_keys', 0],
    ['active_defrag_hits', core.defrag.hits],
    ['active_defrag_misses', core.defrag.misses],
    ['active_defrag_key_hits', core.defrag.keyHits],
    ['active_defrag_key_misses', core.defrag.keyMisses],
    ['total_active_defrag_time', ms(core.defrag.totalUs + defragging)],
    ['current_active_defrag_time', ms(defragging)],
    ['tracking_total_keys', core.tracking.totalKeys],
    ['tracking_total_items', core.tracking.totalItems],
    ['tracking_total_prefixes', core.tracking.totalPrefixes],
    ['unexpected_error_replies', s.unexpectedErrorReplies],
    ['total_error_replies', s.totalErrorReplies],
    ['dump_payload_sanitizations', s.dumpPayloadSanitizations],
    ['total_reads_processed', traffic.reads],
    ['total_writes_processed', traffic.writes],
    ['io_threaded_reads_processed', 0],
    ['io_threaded_writes_processed', 0],
    ['reply_buffer_shrinks', s.replyBufferShrinks],
    ['reply_buffer_expands', s.replyBufferExpands],
  ];
}

function replication(core: RedisCore): Fields {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', adminOf(core).replicationId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', 0],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
    ['repl_backlog_size', core.config.replBacklogSize],
    ['repl_backlog_first_byte_offset', 0],
    ['repl_backlog_histlen', 0],
  ];
}

function cpu(core: RedisCore): Fields {
  const p = adminOf(core).host.processFigures();
  return [
    ['used_cpu_sys', p.cpuSystemSeconds.toFixed(6)],
    ['used_cpu_user', p.cpuUserSeconds.toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
    ['used_cpu_sys_main_thread', p.cpuSystemMainSeconds.toFixed(6)],
    ['used_cpu_user_main_thread', p.cpuUserMainSeconds.toFixed(6)],
  ];
}

function everyCommand(table: CommandTable): Command[] {
  return table.all.flatMap((one) => (one.subcommands === null ? [one] : [one, ...everyCommand(one.subcommands)]));
}

function commandStats(core: RedisCore): Fields {
  const fields: Fields = [];
  for (const one of everyCommand(core.commands)) {
    if (one.calls === 0 && one.rejectedCalls === 0 && one.failedCalls === 0) continue;
    const perCall = one.calls === 0 ? 0 : one.usec / one.calls;
    fields.push([
      `cmdstat_${one.fullName}`,
      `calls=${one.calls},usec=${Math.floor(one.usec)},usec_per_call=${fixed(perCall)},` +
        `rejected_calls=${one.rejectedCalls},failed_calls=${one.failedCalls}`,
    ]);
  }
  return fields;
}

function errorStats(core: RedisCore): Fields {
  return [...core.errorStats]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, n]) => [`errorstat_${code}`, `count=${n}`]);
}

function latencyStats(core: RedisCore): Fields {
  const fields: Fields = [];
  for (const one of everyCommand(core.commands)) {
    const histogram = one.histogram;
    if (histogram === null || histogram.total === 0) continue;
    const values = core.config.latencyTrackingInfoPercentiles.map(
      (percentile) => `p${percentile}=${(histogram.percentileNs(percentile) / 1000).toFixed(3)}`,
    );
    fields.push([`latency_percentiles_usec_${one.fullName}`, values.join(',')]);
  }
  return fields;
}

function keyspace(core: RedisCore): Fields {
  const fields: Fields = [];
  for (const db of core.dbs) {
    const keys = dictSize(core.heap, db.dict);
    const expires = dictSize(core.heap, db.expires);
    if (keys === 0 && expires === 0) continue;
    fields.push([`db${db.id}`, `keys=${keys},expires=${expires},avg_ttl=${Math.floor(db.avgTtl)}`]);
  }
  return fields;
}

interface Section {
  readonly name: string;
  readonly title: string;
  /** Part of a plain INFO. */
  readonly standard: boolean;
  readonly fields: (core: RedisCore) => Fields;
}

const sections: readonly Section[] = [
  { name: 'server', title: 'Server', standard: true, fields: server },
  { name: 'clients', title: 'Clients', standard: true, fields: clients },
  { name: 'memory', title: 'Memory', standard: true, fields: memory },
  { name: 'persistence', title: 'Persistence', standard: true, fields: persistence },
  { name: 'stats', title: 'Stats', standard: true, fields: stats },
  { name: 'replication', title: 'Replication', standard: true, fields: replication },
  { name: 'cpu', title: 'CPU', standard: true, fields: cpu },
  { name: 'modules', title: 'Modules', standard: true, fields: () => [] },
  { name: 'commandstats', title: 'Commandstats', standard: false, fields: commandStats },
  { name: 'errorstats', title: 'Errorstats', standard: true, fields: errorStats },
  { name: 'latencystats', title: 'Latencystats', standard: false, fields: latencyStats },
  { name: 'cluster', title: 'Cluster', standard: true, fields: () => [['cluster_enabled', 0]] },
  { name: 'keyspace', title: 'Keyspace', standard: true, fields: keyspace },
];

/**
 * @param wanted section names in lower case; empty: the standard ones. "all" and "everything" mean every section, "default" the
 *   standard ones; unknown names select nothing.
 */
export function infoText(core: RedisCore, wanted: readonly string[]): string {
  const everything = wanted.includes('all') || wanted.includes('everything');
  const standard = wanted.length === 0 || wanted.includes('default');
  const parts: string[] = [];
  for (const section of sections) {
    if (!everything && !(standard && section.standard) && !wanted.includes(section.name)) continue;
    let part = `# ${section.title}\r\n`;
    for (const [name, value] of section.fields(core)) part += `${name}:${value}\r\n`;
    parts.push(part);
  }
  return parts.join('\r\n');
}
