/** Delays drawn with letters, and explained: LATENCY GRAPH and LATENCY DOCTOR. */
import type { LatencySeries } from './latency-monitor.ts';
import type { RedisCore } from './redis-core.ts';

const COLUMNS = 80;
const ROWS = 4;
/** What the top of a bar looks like when it fills a third, two thirds, or all of its row. */
const TOPS = '_o#';
const SECONDS = [60, 3_600, 86_400] as const;

/** How long ago, in one unit: "5s", "3m". */
function ago(seconds: number): string {
  if (seconds < SECONDS[0]) return `${seconds}s`;
  if (seconds < SECONDS[1]) return `${Math.floor(seconds / SECONDS[0])}m`;
  if (seconds < SECONDS[2]) return `${Math.floor(seconds / SECONDS[1])}h`;
  return `${Math.floor(seconds / SECONDS[2])}d`;
}

/** Bars for values, with their labels written downwards below. */
function bars(values: readonly number[], labels: readonly string[], low: number, high: number): string {
  const span = high === low ? 1 : high - low;
  const steps = TOPS.length * ROWS;
  const heights = values.map((value) => Math.min(steps - 1, Math.trunc(Math.trunc((value - low) * steps) / span)));
  let out = '';
  for (let row = ROWS - 1; row >= 0; row--) {
    for (const height of heights) {
      const part = height - row * TOPS.length;
      out += part < 0 ? ' ' : part < TOPS.length ? TOPS[part] : '|';
    }
    out += '\n';
  }
  out += `${' '.repeat(values.length)}\n`;
  const longest = Math.max(...labels.map((label) => label.length));
  for (let i = 0; i < longest; i++) out += `${labels.map((label) => label[i] ?? ' ').join('')}\n`;
  return out;
}

/** The picture of LATENCY GRAPH. */
export function latencyGraph(core: RedisCore, event: string, series: LatencySeries): string {
  const samples = series.samples();
  const delays = samples.map((sample) => sample.delayMs);
  const low = Math.min(...delays);
  const high = Math.max(...delays);
  const now = Math.floor(core.clock.wallMs() / 1000);
  const labels = samples.map((sample) => ago(now - sample.unixtime));
  const pieces: string[] = [];
  for (let from = 0; from < delays.length; from += COLUMNS) {
    pieces.push(bars(delays.slice(from, from + COLUMNS), labels.slice(from, from + COLUMNS), low, high));
  }
  const title = `${event} - high ${high} ms, low ${low} ms (all time high ${series.max} ms)`;
  return `${title}\n${'-'.repeat(COLUMNS)}\n${pieces.join('\n')}`;
}

/** What may be done about an event, by the beginning of its name. */
const ADVICE: readonly (readonly [event: string, advice: string])[] = [
  ['command', 'Commands that touch many elements are slow: look for them in SLOWLOG, and split or replace them.'],
  [
    'fast-command',
    'Commands that are fast by nature were slow: the process lacked the processor, or waited for memory (swapping, a busy machine).',
  ],
  ['expire-cycle', 'Many keys expire at the same time: spread their times, or lower active-expire-effort.'],
  ['expire-del', 'Expired values are large: lazyfree-lazy-expire frees them little by little.'],
  [
    'eviction-cycle',
    'Eviction works in long runs: lower maxmemory-eviction-tenacity, or leave more room below maxmemory.',
  ],
  ['eviction-del', 'Evicted values are large: lazyfree-lazy-eviction frees them little by little.'],
  ['active-defrag-cycle', 'Defragmentation takes long runs: lower active-defrag-cycle-max.'],
  ['command-unblocking', 'Answering clients that had waited took long: their values are large.'],
  ['aof-', 'The disk is slow to take the append-only file: a faster one, or appendfsync everysec, helps.'],
  ['fork', 'Starting a snapshot takes long: the data set is large.'],
  ['rdb-', 'The disk is slow to remove old files.'],
];

/** The words of LATENCY DOCTOR: what was seen, and what may be done. */
export function latencyDoctor(core: RedisCore): string {
  const { series } = core.latency;
  if (core.config.latencyMonitorThreshold === 0 && series.size === 0) {
    return 'Delays are not recorded: set latency-monitor-threshold to the number of milliseconds from which on they count.\n';
  }
  if (series.size === 0) return 'No delay of the configured length has been seen so far.\n';
  const lines: string[] = [`${series.size} kind${series.size === 1 ? '' : 's'} of delays were recorded:`];
  const advice = new Set<string>();
  let number = 0;
  for (const [event, one] of series) {
    const samples = one.samples();
    const delays = samples.map((sample) => sample.delayMs);
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    const spread = delays.reduce((sum, delay) => sum + Math.abs(delay - mean), 0) / delays.length;
    const seconds = samples[samples.length - 1]!.unixtime - samples[0]!.unixtime;
    const every = samples.length < 2 ? '' : `, one every ${(seconds / (samples.length - 1)).toFixed(1)} s`;
    lines.push(
      `${++number}. ${event}: ${samples.length} slow second${samples.length === 1 ? '' : 's'}${every}; ` +
        `${mean.toFixed(0)} ms on average (mean deviation ${spread.toFixed(0)} ms), ${one.max} ms at worst.`,
    );
    for (const [name, text] of ADVICE)
      if (event === name || (name.endsWith('-') && event.startsWith(name))) advice.add(text);
  }
  if (advice.size > 0) lines.push('What may help:', ...[...advice].map((text) => `- ${text}`));
  return `${lines.join('\n')}\n`;
}
