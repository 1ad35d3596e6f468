/** LATENCY. */
import type { Client } from '../client.ts';
import type { Command, CommandProc, CommandTable } from '../command.ts';
import type { LatencyHistogram } from '../latency-histogram.ts';
import { latencyDoctor, latencyGraph } from '../latency-report.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyVerbatim,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';

/** First bound of LATENCY HISTOGRAM in ns; each further one is twice the one before. */
const HISTOGRAM_FIRST_NS = 1024;

function addHistogram(c: Client, command: Command, histogram: LatencyHistogram): void {
  const rows: number[] = [];
  let seen = 0;
  let cell = 0;
  let before = 0;
  for (let bound = HISTOGRAM_FIRST_NS; seen < histogram.total && cell < histogram.cells; bound *= 2) {
    let upper = 0;
    while (cell < histogram.cells) {
      const highest = histogram.highestEquivalent(cell);
      // The cell that holds the bound itself still belongs to this row.
      seen += histogram.count(cell);
      cell++;
      upper = highest;
      if (highest >= bound) break;
    }
    if (seen > before) rows.push(Math.floor(upper / 1000), seen);
    before = seen;
  }
  addReplyBulkString(c, command.fullName);
  addReplyMapLen(c, 2);
  addReplyBulkString(c, 'calls');
  addReplyLong(c, histogram.total);
  addReplyBulkString(c, 'histogram_usec');
  addReplyMapLen(c, rows.length / 2);
  for (const value of rows) addReplyLong(c, value);
}

function withHistogram(table: CommandTable): Command[] {
  const found: Command[] = [];
  for (const command of table.all) {
    if (command.histogram !== null && command.histogram.total > 0) found.push(command);
    if (command.subcommands !== null) found.push(...withHistogram(command.subcommands));
  }
  return found;
}

function latencyHistogram(core: RedisCore, c: Client): void {
  const all = withHistogram(core.commands);
  let chosen = all;
  if (c.argc > 2) {
    chosen = [];
    for (let i = 2; i < c.argc; i++) {
      const name = c.argText(i).toLowerCase();
      chosen.push(...all.filter((one) => one.fullName === name || one.parent?.name === name));
    }
  }
  addReplyMapLen(c, chosen.length);
  for (const command of chosen) addHistogram(c, command, command.histogram!);
}

function latest(core: RedisCore, c: Client): void {
  const { series } = core.latency;
  addReplyArrayLen(c, series.size);
  for (const [event, one] of series) {
    const samples = one.samples();
    const last = samples[samples.length - 1]!;
    addReplyArrayLen(c, 4);
    addReplyBulkString(c, event);
    addReplyLong(c, last.unixtime);
    addReplyLong(c, last.delayMs);
    addReplyLong(c, one.max);
  }
}

function history(core: RedisCore, c: Client): void {
  const samples = core.latency.series.get(c.argText(2))?.samples() ?? [];
  addReplyArrayLen(c, samples.length);
  for (const { unixtime, delayMs } of samples) {
    addReplyArrayLen(c, 2);
    addReplyLong(c, unixtime);
    addReplyLong(c, delayMs);
  }
}

function reset(core: RedisCore, c: Client): void {
  const { latency } = core;
  const events: string[] = [];
  if (c.argc === 2) events.push(...latency.series.keys());
  else for (let i = 2; i < c.argc; i++) events.push(c.argText(i));
  let count = 0;
  for (const event of events) if (latency.reset(event)) count++;
  addReplyLong(c, count);
}

function graph(core: RedisCore, c: Client): void {
  const event = c.argText(2);
  const series = core.latency.series.get(event);
  if (series === undefined) addReplyError(c, `No samples available for event '${event}'`);
  else addReplyVerbatim(c, latencyGraph(core, event, series), 'txt');
}

/** By full name. */
export const latencyProcs: Readonly<Record<string, CommandProc>> = {
  'latency|histogram': latencyHistogram,
  'latency|latest': latest,
  'latency|history': history,
  'latency|reset': reset,
  'latency|graph': graph,
  'latency|doctor': (core, c) => addReplyVerbatim(c, latencyDoctor(core), 'txt'),
  'latency|help': addHelp([
    'DOCTOR',
    '    Explain the recorded delays.',
    'GRAPH <event>',
    '    Draw the delays of an event.',
    'HISTORY <event>',
    '    List the delays of an event.',
    'LATEST',
    '    Report the latest delay of each event.',
    'RESET [<event> ...]',
    '    Forget the delays of some or all events.',
    'HISTOGRAM [COMMAND ...]',
    '    Report how long some or all commands took, as a cumulative distribution.',
  ]),
};
