import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { escapeHtml, renderHtml, scriptJson } from '../../reports/html.ts';
import { asResultDocument, renderMarkdown, renderPngs, renderTerminal, writeReports } from '../../reports/index.ts';
import { fold } from '../../reports/terminal.ts';
import { buildReportView } from '../../reports/view-model.ts';
import { describeReal } from '../support/real.ts';
import { HOSTILE, samplePersistence, sampleResult, sampleRun, sampleScenario } from '../support/sample-result.ts';

const AXES = [
  { field: 'memory.limitShare', values: [0.1, 0.25, 0.5, 1] },
  { field: 'memory.policy', values: ['allkeys-lru', 'allkeys-lfu'] },
];

describe('the view model', () => {
  it('puts a table behind every chart', () => {
    for (const scenario of [sampleScenario(), sampleScenario({ axes: AXES, repetitions: 3 })]) {
      const view = buildReportView(sampleResult([scenario])).scenarios[0]!;
      expect(view.charts.length).toBeGreaterThan(3);
      for (const chart of view.charts) {
        const table = view.tables.find((candidate) => candidate.id === chart.table);
        expect(table, chart.id).toBeDefined();
        expect(table!.rows.length, chart.id).toBeGreaterThan(0);
      }
    }
  });

  it('makes every row of every table as wide as its head', () => {
    const view = buildReportView(sampleResult([sampleScenario({ axes: AXES, repetitions: 2 })])).scenarios[0]!;
    for (const table of view.tables) for (const row of table.rows) expect(row.length).toBe(table.columns.length);
  });

  it('shows what persistence cost and what a crash lost, with the moments of snapshots marked over time', () => {
    const axes = [
      { field: 'persistence.mode', values: ['none', 'aof-rdb'] },
      { field: 'mix', values: ['10% set', '90% set'] },
    ];
    const scenario = sampleScenario({ axes, repetitions: 2 });
    for (const cell of scenario.cells) {
      cell.runs.forEach((run, i) => {
        run.persistence = samplePersistence(i);
        if (cell.axis['persistence.mode'] === 'none') run.persistence.events = [];
      });
    }
    const result = sampleResult([scenario]);
    const view = buildReportView(result).scenarios[0]!;
    const table = view.tables.find((candidate) => candidate.id === 's1-persistence')!;
    const labels = table.columns.map((column) => column.label);
    // A loss that happened once is not averaged away.
    expect(table.rows[0]![labels.indexOf('writes lost')]).toBe('13 of 20,000');
    expect(view.charts.some((chart) => chart.id.startsWith('s1-recovery'))).toBe(true);
    const courses = view.charts.filter((chart) => chart.group.startsWith('Course'));
    // One mode has something to mark; of the other axis the last value is drawn.
    expect(courses.map((chart) => chart.title)).toEqual([
      'Throughput (aof-rdb, 90% set)',
      '99.9th percentile (aof-rdb, 90% set)',
      'Memory (aof-rdb, 90% set)',
    ]);
    expect(courses[0]!.marks).toHaveLength(3 * scenario.targets.length);
    expect(courses[0]!.marks![0]).toEqual({ x: 1.5, until: 3.25, color: 0, text: 'snapshot' });
    // What bears the answer is read before charts and details.
    const markdown = renderMarkdown(result, new Map(view.charts.map((chart) => [chart.id, `${chart.id}.png`])));
    expect(markdown.indexOf('13 of 20,000')).toBeLessThan(markdown.indexOf('!['));
    const html = renderHtml(result);
    expect(html.indexOf('13 of 20,000')).toBeLessThan(html.indexOf('<figure'));
    for (const chart of courses) expect(view.tables.some((candidate) => candidate.id === chart.table)).toBe(true);
    for (const one of view.tables) for (const row of one.rows) expect(row.length).toBe(one.columns.length);
    expect(renderTerminal(result, { color: false, width: 120 })).toContain('13 of 20,000');
    expect(renderMarkdown(result)).toContain('1.50 s snapshot begins');
    expect(renderHtml(result)).toContain('write waits for fsync');
  });

  it('ends the span of a snapshot that was still under way with the run, and keeps the paragraphs of an answer apart', () => {
    const scenario = sampleScenario();
    scenario.verdict.text = 'One.\n\nTwo <b>.';
    for (const { runs } of scenario.cells) {
      runs[0]!.persistence = { ...samplePersistence(0), events: [{ t: 1.5, kind: 'rewrite-start' }] };
    }
    const result = sampleResult([scenario]);
    const view = buildReportView(result).scenarios[0]!;
    const course = view.charts.find((chart) => chart.group.startsWith('Course'))!;
    const end = scenario.cells[0]!.runs[0]!.timeline.at(-1)!.t;
    expect(course.marks![0]).toEqual({ x: 1.5, until: end, color: 0, text: 'rewrite' });
    expect(view.answer).toEqual(['One.', 'Two <b>.']);
    expect(renderHtml(result)).toContain('<p>One.</p>\n<p>Two &lt;b&gt;.</p>');
    expect(renderMarkdown(result)).toContain('One.\n\nTwo &lt;b&gt;.');
    expect(renderTerminal(result, { color: false })).toContain('One.\n\nTwo <b>.\n');
  });

  it('says of an interrupted run that it was, and judges nothing else of it', () => {
    const scenario = sampleScenario();
    const empty = { name: 'errors', passed: false, detail: 'Not one operation was answered.' };
    const failure = 'interrupted before the measured phase';
    scenario.cells[0]!.runs = [sampleRun(0, { status: 'failed', failure, validity: [empty] })];
    const { validity } = buildReportView(sampleResult([scenario])).scenarios[0]!;
    expect(validity.filter((item) => item.status === 'failed').map((item) => item.detail)).toEqual([failure]);
  });

  it('leaves failed runs out of the figures and lists why they failed', () => {
    const scenario = sampleScenario({ repetitions: 3 });
    scenario.cells[0]!.runs[1] = sampleRun(0, {
      repetition: 2,
      status: 'failed',
      failure: 'redis-server died',
      achievedRate: 1,
    });
    const view = buildReportView(sampleResult([scenario])).scenarios[0]!;
    const row = view.tables[0]!.rows[0]!;
    expect(row.at(-1)).toBe('1 of 3 failed');
    expect(row[1]).toMatch(/^20/);
    expect(view.validity.some((item) => item.status === 'failed' && item.detail === 'redis-server died')).toBe(true);
  });

  it('says that a run whose guard failed is inconclusive, and why', () => {
    const scenario = sampleScenario();
    scenario.cells[2]!.runs[0] = sampleRun(1, {
      status: 'inconclusive',
      validity: [{ name: 'send-lag', passed: false, detail: 'operations were sent 4 ms late' }],
    });
    const view = buildReportView(sampleResult([scenario])).scenarios[0]!;
    expect(view.tables[0]!.rows[2]!.at(-1)).toBe('INCONCLUSIVE');
    expect(view.validity).toEqual([
      {
        status: 'inconclusive',
        where: 'redis-server, repetition 1',
        detail: 'send-lag: operations were sent 4 ms late',
      },
    ]);
  });

  it('survives a document without any run, figure or target', () => {
    const scenario = { ...sampleScenario(), cells: [], targets: [] };
    const empty = sampleResult([scenario]);
    for (const result of [empty, sampleResult([])]) {
      expect(renderTerminal(result, { color: false })).toBeTypeOf('string');
      expect(renderMarkdown(result)).toContain('## Provenance');
      expect(renderHtml(result)).toContain('</html>');
      expect(renderPngs(result)).toEqual([]);
    }
  });
});

describe('the terminal report', () => {
  it('shows the table, the verdict and the validity without colour codes when asked', () => {
    const text = renderTerminal(sampleResult(), { color: false, width: 90 });
    expect(text).toContain('memcached keeps more of this data set in the same memory.');
    expect(text).toContain('4 of 4 runs passed every check.');
    expect(text).not.toContain('\u001b');
  });

  it('leaves out columns that do not fit, and says which', () => {
    const text = renderTerminal(sampleResult(), { color: false, width: 100 });
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(text).toMatch(/\(not shown for want of width: service p99/);
    expect(renderTerminal(sampleResult(), { color: false, width: 120 })).not.toContain('not shown');
  });

  it('never lets a text from outside steer the terminal', () => {
    const text = renderTerminal(sampleResult([sampleScenario({ hostile: true })]), { color: false });
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f\u202e]/);
  });

  it('folds paragraphs at blanks', () => {
    expect(fold('one two three', 7)).toEqual(['one two', 'three']);
    expect(fold('incomprehensibilities are long', 5)).toEqual(['incomprehensibilities', 'are', 'long']);
  });
});

describe('the markdown report', () => {
  it('has rows with as many cells as columns, also with hostile texts', () => {
    const text = renderMarkdown(sampleResult([sampleScenario({ hostile: true })]));
    const blocks = text.split('\n\n').filter((block) => block.startsWith('| '));
    expect(blocks.length).toBeGreaterThan(4);
    for (const block of blocks) {
      const counts = block.split('\n').map((line) => line.replace(/\\./g, '').split('|').length);
      expect(new Set(counts).size, block).toBe(1);
    }
    // Inside a fenced block markdown shows everything as it is.
    expect(text.replace(/^```[\s\S]*?^```$/gm, '')).not.toContain('<script>alert');
  });
});

describe('the HTML report', () => {
  it('escapes texts from outside wherever they stand', () => {
    const html = renderHtml(sampleResult([sampleScenario({ hostile: true })]));
    expect(html).not.toContain('<script>alert(1)');
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(escapeHtml(HOSTILE)).not.toMatch(/[<>"']/);
    expect(scriptJson({ a: '</script><!--' })).toBe('{"a":"\\u003c/script>\\u003c!--"}');
  });

  it('refers to nothing outside itself', () => {
    const html = renderHtml(sampleResult());
    const markup = html.replace(/<script>[\s\S]*?<\/script>/g, '');
    expect(markup).not.toMatch(/\b(src|href)\s*=\s*"(?!#)/);
    expect(markup).not.toMatch(/url\(|@import/);
    expect(html).toContain("default-src 'none'");
  });
});

describe('the PNG charts', () => {
  it('are pictures of the promised size, one a chart, with more than one colour', () => {
    const pictures = renderPngs(sampleResult([sampleScenario({ axes: AXES })]));
    const view = buildReportView(sampleResult([sampleScenario({ axes: AXES })])).scenarios[0]!;
    expect(pictures.map((picture) => picture.chart)).toEqual(view.charts.map((chart) => chart.id));
    for (const picture of pictures) {
      const bytes = Buffer.from(picture.bytes);
      expect(bytes.subarray(1, 4).toString('latin1')).toBe('PNG');
      expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([900, 480]);
      // An empty canvas of this size compresses to some 2 kB.
      expect(bytes.length).toBeGreaterThan(8_000);
    }
  });
});

describe('a result document', () => {
  it('is refused with a reason when it is something else', () => {
    expect(() => asResultDocument({}, 'x.json')).toThrow('Cannot report x.json: it is no cachelab result');
    expect(() => asResultDocument({ format: 'cachelab-result', version: 99 }, 'x.json')).toThrow('version is 99');
    expect(() => asResultDocument(JSON.parse(JSON.stringify(sampleResult())), 'x.json')).not.toThrow();
  });
});

describeReal(['chromium'], 'in a browser', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cachelab-report-'));
    writeReports(sampleResult([sampleScenario(), sampleScenario({ axes: AXES, repetitions: 3 })]), folder, {
      png: false,
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const chromium = (page: string, ...flags: string[]) =>
    execFileSync(
      'chromium',
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        `--user-data-dir=${join(folder, 'profile')}`,
        '--virtual-time-budget=4000',
        ...flags,
        `file://${page}`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 2 ** 20 },
    );

  it('draws every chart and reports no script error', () => {
    // The page's own errors are written into its title, where --dump-dom shows them.
    const page = join(folder, 'probe.html');
    const source = readFileSync(join(folder, 'report.html'), 'utf8');
    writeFileSync(
      page,
      source.replace('<style>', '<script>window.onerror=function(m){document.title="ERROR "+m}</script><style>'),
    );
    const dom = chromium(page, '--dump-dom');
    expect(/<title>(.*?)<\/title>/.exec(dom)![1]).not.toContain('ERROR');
    const canvases = [...dom.matchAll(/<div class="canvas"( hidden="")?><canvas id="chart-[^>]*?(?: width="(\d+)")/g)];
    expect(canvases.length).toBe((source.match(/<canvas /g) ?? []).length);
    for (const canvas of canvases) {
      expect(canvas[1]).toBeUndefined();
      expect(Number(canvas[2])).toBeGreaterThan(300);
    }
  });

  it('gives a screenshot that is not blank', () => {
    const picture = join(folder, 'shot.png');
    chromium(join(folder, 'report.html'), '--window-size=1280,2400', '--hide-scrollbars', `--screenshot=${picture}`);
    expect(statSync(picture).size).toBeGreaterThan(60_000);
  });
});
