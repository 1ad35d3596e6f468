/**
 * The answer in words. Deterministic: the same result gives the same text. Nothing is claimed that the paired runs do not
 * carry (see paired.ts), and runs that are inconclusive are named, not averaged in.
 */
import type { RunResult, ScenarioResult, TargetResult, Verdict } from '../result.ts';
import { METRICS, type Metric } from './metrics.ts';
import { amountOf, compareTargets, FEW_PAIRS, isBelieved, type PairedDifference } from './paired.ts';
import { persistenceAnswer } from './persistence.ts';

const MANY_PAIRS = 5;
/** So many claims go into the headline. */
const HEADLINE_CLAIMS = 2;

interface Finding {
  metric: Metric;
  differences: PairedDifference[];
}

type Pair = [TargetResult, TargetResult];

/** Pairs that a verdict can be about, the one that a reader wants most first. */
export function candidatePairs(targets: readonly TargetResult[]): Pair[] {
  const real = targets.filter((target) => target.kind !== 'embedded');
  const embedded = targets.filter((target) => target.kind === 'embedded');
  const pairs: Pair[] = [];
  for (const group of [real, embedded, targets]) {
    const redis = group.find((target) => target.engine === 'redis');
    const memcached = group.find((target) => target.engine === 'memcached');
    if (redis && memcached) pairs.push([redis, memcached]);
  }
  if (pairs.length > 0) return pairs;
  const [first, second] = real.length >= 2 ? real : targets;
  return first && second ? [[first, second]] : [];
}

export function judge(result: ScenarioResult): Verdict {
  const verdict = judgeTargets(result);
  const answer = persistenceAnswer(result);
  // Where modes of persistence were varied, they are the question; how the targets compare comes after it.
  if (answer === null) return verdict;
  return {
    ...verdict,
    headline: answer.headline,
    confidence: confidenceOf(answer.pairs, answer.share),
    text: [...answer.paragraphs, verdict.text].join('\n\n'),
    caveats: [...answer.caveats, ...verdict.caveats],
  };
}

function judgeTargets(result: ScenarioResult): Verdict {
  const caveats = caveatsOf(result);
  const [principal, ...others] = candidatePairs(result.targets);
  if (principal === undefined) return alone(result, caveats);
  const verdict = judgePair(result, principal, caveats);
  if (verdict !== null) return verdict;
  const none = undecided(result, principal, caveats);
  for (const other of others) {
    const second = judgePair(result, other, caveats);
    if (second === null) continue;
    return {
      ...none,
      headline: `${none.headline}. ${other[0].label} and ${other[1].label} instead: ${second.headline}`,
      text: `${none.text} ${other[0].label} and ${other[1].label} were measured validly: ${second.text}`,
    };
  }
  return none;
}

/** @returns null where no run of the pair can be believed */
function judgePair(result: ScenarioResult, pair: Pair, caveats: string[]): Verdict | null {
  const runs = runsOf(result, [pair[0].id, pair[1].id]);
  const believed = runs.filter(isBelieved);
  const findings = find(result, pair);
  if (findings.length === 0) return null;
  const sentences = findings.map((finding) => sentenceOf(finding, pair)).filter((text) => text !== null);
  const claims = findings.filter((finding) => finding.differences.some((one) => one.winner !== 0));
  const pairs = Math.min(...findings.flatMap((finding) => finding.differences.map((one) => one.pairs)));
  const share = believed.length / Math.max(1, runs.length);
  return {
    headline: claims.length === 0 ? noDifference(pair) : headlineOf(claims, pair),
    text: [
      claims.length === 0 ? `${noDifference(pair)}.` : null,
      ...sentences,
      silentSentence(result, pair, findings),
      embeddedSentence(result, pair),
    ]
      .filter((text) => text !== null)
      .join(' '),
    confidence: confidenceOf(pairs, share),
    caveats,
  };
}

/** @param pairs of runs behind each figure @param share of all runs that count */
function confidenceOf(pairs: number, share: number): Verdict['confidence'] {
  if (pairs >= MANY_PAIRS && share === 1) return 'high';
  return pairs >= FEW_PAIRS && share >= 0.8 ? 'medium' : 'low';
}

/** A sentence may begin with "in"; a target's label stays as its owner wrote it. */
function capitalIn(text: string): string {
  return text.replace(/^in /, 'In ');
}

function noDifference([a, b]: Pair): string {
  return `No difference between ${a.label} and ${b.label} that is larger than the spread of the runs`;
}

function runsOf(result: ScenarioResult, ids: readonly string[]): RunResult[] {
  return result.cells.filter((cell) => ids.includes(cell.targetId)).flatMap((cell) => cell.runs);
}

function find(result: ScenarioResult, [a, b]: Pair, believe?: (run: RunResult) => boolean): Finding[] {
  const findings: Finding[] = [];
  for (const metric of METRICS) {
    if (!metric.applies(result)) continue;
    const differences = compareTargets(result, metric, a.id, b.id, believe);
    if (differences.length > 0) findings.push({ metric, differences });
  }
  return findings;
}

function nameAxis(axis: Record<string, unknown>): string {
  return Object.entries(axis)
    .map(([field, value]) => `${field} ${value}`)
    .join(', ');
}

/** The difference that stands out most among those that are clear. */
function largest(differences: readonly PairedDifference[], winner: -1 | 1): PairedDifference | null {
  let best: PairedDifference | null = null;
  for (const one of differences) {
    if (one.winner === winner && (best === null || Math.abs(one.difference) > Math.abs(best.difference))) best = one;
  }
  return best;
}

/** What one figure says, over all cells. null: nothing worth a sentence. */
function sentenceOf({ metric, differences }: Finding, [a, b]: Pair): string | null {
  const figures = (one: PairedDifference): string => {
    const [winner, loser] = one.winner === 1 ? [one.b, one.a] : [one.a, one.b];
    const over = one.pairs === 1 ? 'one pair of runs' : `${one.pairs} pairs of runs`;
    return `median ${metric.format(winner)} against ${metric.format(loser)}, ${over}`;
  };
  if (differences.length === 1) {
    const [one] = differences as [PairedDifference];
    if (one.winner === 0) {
      return `In ${metric.name} the two cannot be told apart (${metric.format(one.a)} for ${a.label}, ${metric.format(one.b)} for ${b.label}).`;
    }
    return `${(one.winner === 1 ? b : a).label} ${metric.words(amountOf(one))} (${figures(one)}).`;
  }
  const parts: string[] = [];
  for (const [target, sign] of [
    [a, -1],
    [b, 1],
  ] as const) {
    const best = largest(differences, sign);
    if (best === null) continue;
    const count = differences.filter((one) => one.winner === sign).length;
    const [amount, at] = count === 1 ? [amountOf(best), 'at'] : [`up to ${amountOf(best)}`, 'most at'];
    parts.push(
      `in ${count} of ${differences.length} cells ${target.label} ${metric.words(amount)} (${at} ${nameAxis(best.axis)}: ${figures(best)})`,
    );
  }
  if (parts.length === 0)
    return `In ${metric.name} the two cannot be told apart in any of ${differences.length} cells.`;
  return `${capitalIn(parts.join('; '))}.`;
}

function headlineOf(claims: readonly Finding[], [a, b]: Pair): string {
  const parts: string[] = [];
  for (const { metric, differences } of claims.slice(0, HEADLINE_CLAIMS)) {
    const forA = differences.filter((one) => one.winner === -1).length;
    const forB = differences.filter((one) => one.winner === 1).length;
    if (forA > 0 && forB > 0) {
      parts.push(
        `in ${metric.name} it depends (${a.label} ahead in ${forA} of ${differences.length} cells, ${b.label} in ${forB})`,
      );
      continue;
    }
    const best = largest(differences, forA > 0 ? -1 : 1) as PairedDifference;
    const amount = differences.length > 1 ? `up to ${amountOf(best)}` : amountOf(best);
    parts.push(`${(forA > 0 ? a : b).label} ${metric.words(amount)}`);
  }
  return capitalIn(parts.join('; '));
}

/** Figures that both have, but no pair of runs that can be believed in them. */
function silentSentence(result: ScenarioResult, pair: Pair, findings: readonly Finding[]): string | null {
  const seen = find(result, pair, (run) => run.status !== 'failed').map((finding) => finding.metric.name);
  const silent = seen.filter((name) => !findings.some((finding) => finding.metric.name === name));
  if (silent.length === 0) return null;
  const guards = new Set(
    runsOf(result, [pair[0].id, pair[1].id]).flatMap((run) =>
      run.validity.filter((guard) => !guard.passed).map((guard) => guard.name),
    ),
  );
  return `INCONCLUSIVE in ${silent.join(', ')}: no pair of runs passed all validity checks (${[...guards].join(', ')}).`;
}

/** Where real servers decide, the embedded engines are held against them in a sentence. */
function embeddedSentence(result: ScenarioResult, pair: Pair): string | null {
  const parts: string[] = [];
  for (const real of pair) {
    const twin = result.targets.find((one) => one.kind === 'embedded' && one.engine === real.engine);
    if (real.kind === 'embedded' || twin === undefined) continue;
    const metric = METRICS.find((one) => one.name === 'hit ratio') as Metric;
    if (!metric.applies(result)) continue;
    const differences = compareTargets(result, metric, real.id, twin.id);
    if (differences.length === 0) continue;
    const worst = Math.max(...differences.map((one) => Math.abs(one.difference)));
    parts.push(`${twin.label} came within ${(100 * worst).toFixed(1)} points of ${real.label}`);
  }
  return parts.length === 0 ? null : `In hit ratio ${parts.join(' and ')}.`;
}

/** All runs of the pair failed or are inconclusive. */
function undecided(result: ScenarioResult, pair: Pair, caveats: string[]): Verdict {
  const runs = runsOf(result, [pair[0].id, pair[1].id]);
  const failed = runs.find((run) => run.status === 'failed');
  const measured = runs.filter((run) => run.status === 'inconclusive');
  if (measured.length === 0) {
    return {
      headline: failed ? `No answer: ${failed.failure}` : 'Not enough was measured for an answer',
      text: failed
        ? `No pair of runs of ${pair[0].label} and ${pair[1].label} came to an end, so there is no answer. ${failed.failure}.`
        : `${pair[0].label} and ${pair[1].label} have not both been measured yet.`,
      confidence: 'low',
      caveats,
    };
  }
  const guards = new Map<string, string>();
  for (const run of measured) {
    for (const guard of run.validity)
      if (!guard.passed && !guards.has(guard.name)) guards.set(guard.name, guard.detail);
  }
  // What was seen is still shown, but as an impression only.
  const seen = find(result, pair, (run) => run.status !== 'failed')
    .flatMap((finding) => (finding.differences.some((one) => one.winner !== 0) ? [sentenceOf(finding, pair)] : []))
    .filter((text) => text !== null);
  const why = [...guards].map(([name, detail]) => `${name}: ${detail}`).join('; ');
  return {
    headline: `INCONCLUSIVE: no pair of runs passed all validity checks (${[...guards.keys()].join(', ')})`,
    text: [
      `INCONCLUSIVE. No pair of runs passed all validity checks (${why.replace(/\.$/, '')}).`,
      seen.length > 0 ? `What was seen, not to be relied on: ${seen.join(' ')}` : null,
    ]
      .filter((text) => text !== null)
      .join(' '),
    confidence: 'low',
    caveats,
  };
}

/** Only one target: nothing to compare, but something to say. */
function alone(result: ScenarioResult, caveats: string[]): Verdict {
  const [target] = result.targets;
  if (target === undefined) {
    const failed = result.cells.flatMap((cell) => cell.runs).find((run) => run.status === 'failed');
    const why = failed ? `: ${failed.failure}` : '';
    return { headline: `No answer${why}`, text: `No target could be measured${why}.`, confidence: 'low', caveats };
  }
  const runs = runsOf(result, [target.id]);
  const counted = runs.filter(isBelieved).length;
  const failed = runs.find((run) => run.status === 'failed');
  const headline =
    counted > 0 || !failed
      ? `${target.label} was measured alone: there is nothing to compare it with`
      : `No answer: ${failed.failure}`;
  return {
    headline,
    text: `${headline}. ${counted} of ${runs.length} runs passed all validity checks.`,
    confidence: 'low',
    caveats,
  };
}

function caveatsOf(result: ScenarioResult): string[] {
  const caveats: string[] = [];
  const runs = result.cells.flatMap((cell) => cell.runs);
  const label = (id: string): string => result.targets.find((target) => target.id === id)?.label ?? id;
  for (const target of result.targets) {
    const own = runsOf(result, [target.id]);
    const inconclusive = own.filter((run) => run.status === 'inconclusive');
    const failed = own.filter((run) => run.status === 'failed');
    if (inconclusive.length > 0) {
      const names = [
        ...new Set(inconclusive.flatMap((run) => run.validity.filter((one) => !one.passed).map((one) => one.name))),
      ];
      caveats.push(
        `${inconclusive.length} of ${own.length} runs of ${label(target.id)} are INCONCLUSIVE (${names.join(', ')}) and take no part in the comparison of speed.`,
      );
    }
    // That somebody stopped the run is no fault of the server that was being measured.
    const broken = failed.filter((run) => run.failure?.startsWith('interrupted') !== true);
    if (broken.length > 0) caveats.push(`${broken.length} of ${own.length} runs of ${label(target.id)} failed.`);
    if (broken.length < failed.length) caveats.push(`A run of ${label(target.id)} was interrupted and does not count.`);
  }
  const repetitions = Math.max(0, ...runs.map((run) => run.repetition));
  if (repetitions < FEW_PAIRS && runs.length > 0) {
    caveats.push(
      `Only ${repetitions === 1 ? 'one repetition' : `${repetitions} repetitions`}: the spread between runs is hardly known, so differences under 10 % (0.5 points of hit ratio) are not told. --repetitions 5 makes it surer.`,
    );
  }
  if (result.targets.some((target) => target.kind === 'embedded')) {
    caveats.push(
      "Embedded engines are cachelab's own: their hit ratio and the memory that they count as used stand for the original's; their speed does not, nor does their resident set, which holds Node.js too.",
    );
  }
  if (result.targets.some((target) => target.kind !== 'remote')) {
    caveats.push(
      'Client and server shared one machine: rates and latencies are those of this machine, without a network.',
    );
  }
  if (result.targets.some((target) => target.kind === 'remote')) {
    caveats.push('A server elsewhere ran under its own configuration, and the network to it is part of its latency.');
  }
  for (const skipped of result.skippedTargets) caveats.push(`${skipped.label} was left out: ${skipped.reason}.`);
  for (const target of result.targets) if (target.remark !== null) caveats.push(`${target.label}: ${target.remark}`);
  return caveats;
}
