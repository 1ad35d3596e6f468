/**
 * One chart of the view model as a Chart.js configuration. The same function draws the PNGs (in Node.js) and the charts of the HTML
 * report (in the browser, where its source text is inlined): it must therefore use nothing but its arguments.
 */
import type { ChartConfiguration } from 'chart.js';
import type { Chart } from './view-model.ts';

export interface Palette {
  /** One colour a target. */
  series: string[];
  text: string;
  muted: string;
  grid: string;
  background: string;
}

/** Colours that stay apart for colour-blind readers, for light paper. */
export const LIGHT_PALETTE: Palette = {
  series: ['#c2410c', '#0f766e', '#dc8a3c', '#2f9fd0', '#7c3aed', '#64748b', '#be185d', '#4d7c0f'],
  text: '#1f2933',
  muted: '#5b6773',
  grid: '#e3e7eb',
  background: '#ffffff',
};

/** The same, brighter, for a dark ground. */
export const DARK_PALETTE: Palette = {
  series: ['#fb8b5a', '#2dd4bf', '#f5c078', '#7cc8ee', '#b794f6', '#a3b1c2', '#f472b6', '#a3d65c'],
  text: '#e6eaee',
  muted: '#9aa7b4',
  grid: '#2c353e',
  background: '#14191e',
};

/** What marks are drawn with: a part of a canvas's context, which in Node.js no type of the platform describes. */
interface Canvas {
  font: string;
  strokeStyle: string;
  fillStyle: string;
  globalAlpha: number;
  save(): void;
  restore(): void;
  setLineDash(segments: number[]): void;
  beginPath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  stroke(): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  measureText(text: string): { width: number };
  fillText(text: string, x: number, y: number): void;
}

/**
 * @param chart a chart of the view model
 * @param palette colours
 * @param animate false for pictures
 * @returns a Chart.js configuration with linear or logarithmic axes and ticks in the chart's units
 */
export function chartConfig(chart: Chart, palette: Palette, animate: boolean): ChartConfiguration {
  // Self-contained on purpose (see the head of this file): the helpers live inside.
  const digits = (value: number): string => {
    if (value === 0) return '0';
    const size = Math.abs(value);
    if (size >= 100) return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
    return String(Number(value.toPrecision(3)));
  };
  const scaled = (value: number, base: number, units: string[]): string => {
    let unit = 0;
    while (Math.abs(value) >= base && unit < units.length - 1) {
      value /= base;
      unit++;
    }
    return `${digits(value)} ${units[unit]}`.trim();
  };
  const text = (value: number, unit: string): string => {
    if (unit === 'latency') return scaled(value, 1000, ['µs', 'ms', 's']);
    if (unit === 'bytes') return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB']);
    if (unit === 'rate') return scaled(value, 1000, ['', 'k', 'M']);
    if (unit === 'share') return `${digits(value * 100)} %`;
    if (unit === 'seconds') return `${digits(value)} s`;
    if (unit === 'percentile') return `${Number((100 - 100 / value).toFixed(6))} %`;
    return digits(value);
  };
  // Logarithmic axes: only 1, 2 and 5 of each decade are named, else the labels run together.
  const logTick = (value: number, unit: string): string => {
    const exact = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
    const mantissa = Math.abs(exact - Math.round(exact)) < 1e-6 ? Math.round(exact) : 0;
    if (unit === 'percentile') return mantissa === 1 ? text(value, unit) : '';
    return mantissa === 1 || mantissa === 2 || mantissa === 5 ? text(value, unit) : '';
  };
  const categories = chart.categories;
  const isBar = chart.kind !== 'line';
  const oneBarEach =
    chart.kind === 'bar' && categories !== null && chart.series.every((line) => line.points.length === 1);
  const point = (pair: [number, number | null]) => ({ x: pair[0], y: pair[1] });
  const datasets = oneBarEach
    ? [
        {
          label: chart.yLabel,
          data: chart.series.map((line) => line.points[0]![1]),
          backgroundColor: chart.series.map((line) => palette.series[line.color % palette.series.length]),
          maxBarThickness: 72,
        },
      ]
    : chart.series.map((line) => {
        const color = palette.series[line.color % palette.series.length];
        return {
          label: line.label,
          data: isBar ? line.points.map((pair) => pair[1]) : line.points.map(point),
          backgroundColor: color,
          borderColor: color,
          borderWidth: isBar ? 0 : 2,
          borderDash: line.dashed && !isBar ? [6, 4] : [],
          pointRadius: line.points.length > 30 ? 0 : 3,
          tension: 0,
          spanGaps: false,
          maxBarThickness: 72,
        };
      });
  // Few x values: the axis names these and nothing else.
  const xValues = [...new Set(chart.series.flatMap((line) => line.points.map((pair) => pair[0])))].sort(
    (a, b) => a - b,
  );
  const nameXValues = !isBar && chart.xUnit !== 'percentile' && xValues.length <= 10;
  // Bytes go in powers of two: 16 MiB reads better than 19.1 MiB.
  const byteTicks = (scale: { min: number; max: number; ticks: { value: number }[] }) => {
    const step = 2 ** Math.max(0, Math.ceil(Math.log2((scale.max - scale.min) / 8)));
    const ticks = [];
    for (let value = Math.ceil(scale.min / step) * step; value <= scale.max; value += step) ticks.push({ value });
    scale.ticks = ticks;
  };
  const axis = (label: string, unit: string, log: boolean) => ({
    type: log ? 'logarithmic' : 'linear',
    title: { display: true, text: label, color: palette.muted },
    grid: { color: palette.grid },
    border: { color: palette.grid },
    beginAtZero: !log,
    ticks: {
      color: palette.muted,
      maxRotation: 0,
      callback: (value: number | string) => (log ? logTick(Number(value), unit) : text(Number(value), unit)),
    },
  });
  // Moments and spans in the colour of whom they belong to; their names stand in rows above, none over another. Where all rows are taken a
  // name is left out: the line is there, and the table has it.
  const markRows = 4;
  const markRowHeight = 11;
  const marksHeight = (chart.marks?.length ?? 0) > 0 ? markRows * markRowHeight : 0;
  const marks = {
    id: 'marks',
    afterDatasetsDraw: (drawn: {
      ctx: Canvas;
      chartArea: { left: number; right: number; top: number; bottom: number };
      scales: Record<string, { getPixelForValue(value: number): number }>;
    }) => {
      const { ctx, chartArea } = drawn;
      ctx.save();
      ctx.font = '10px sans-serif';
      ctx.setLineDash([2, 3]);
      const takenTo: number[] = [];
      const line = (x: number) => {
        ctx.beginPath();
        ctx.moveTo(x, chartArea.top);
        ctx.lineTo(x, chartArea.bottom);
        ctx.stroke();
      };
      for (const mark of chart.marks ?? []) {
        const x = drawn.scales['x']!.getPixelForValue(mark.x);
        if (!(x >= chartArea.left && x <= chartArea.right)) continue;
        const color = palette.series[mark.color % palette.series.length]!;
        ctx.strokeStyle = color;
        ctx.fillStyle = color;
        line(x);
        if (mark.until !== undefined) {
          const end = Math.min(chartArea.right, drawn.scales['x']!.getPixelForValue(mark.until));
          line(end);
          ctx.globalAlpha = 0.07;
          ctx.fillRect(x, chartArea.top, end - x, chartArea.bottom - chartArea.top);
          ctx.globalAlpha = 1;
        }
        const { width } = ctx.measureText(mark.text);
        const start = Math.min(x, chartArea.right - width);
        for (let row = 0; row < markRows; row++) {
          if (start < (takenTo[row] ?? 0)) continue;
          takenTo[row] = start + width + 6;
          ctx.fillText(mark.text, start, chartArea.top - 4 - markRowHeight * row);
          break;
        }
      }
      ctx.restore();
    },
  };
  const stacked = chart.kind === 'stacked-bar';
  const xAxis = isBar
    ? {
        type: 'category',
        labels: categories ?? [],
        stacked,
        grid: { display: false },
        border: { color: palette.grid },
        ticks: { color: palette.muted, maxRotation: 20 },
      }
    : {
        ...axis(chart.xLabel, chart.xUnit, chart.logX),
        beginAtZero: false,
        ...(nameXValues && {
          afterBuildTicks: (scale: { ticks: { value: number }[] }) => {
            scale.ticks = xValues.map((value) => ({ value }));
          },
          ticks: {
            color: palette.muted,
            autoSkip: true,
            callback: (value: number | string) => text(Number(value), chart.xUnit),
          },
        }),
      };
  return {
    type: isBar ? 'bar' : 'line',
    data: { labels: isBar ? (categories ?? []) : undefined, datasets },
    plugins: (chart.marks?.length ?? 0) > 0 ? [marks] : [],
    options: {
      animation: animate ? { duration: 250 } : false,
      responsive: animate,
      maintainAspectRatio: false,
      layout: { padding: { top: animate ? marksHeight : 0 } },
      interaction: { mode: isBar ? 'index' : 'nearest', intersect: false },
      plugins: {
        legend: { display: !oneBarEach, position: 'bottom', labels: { color: palette.text, boxWidth: 18 } },
        title: {
          display: !animate,
          text: chart.title,
          color: palette.text,
          font: { size: 16 },
          padding: { top: 10, bottom: 10 + marksHeight },
        },
        tooltip: {
          callbacks: {
            title: (items: { label: string; parsed: { x: number } }[]) =>
              items.length === 0
                ? ''
                : isBar
                  ? items[0]!.label
                  : `${chart.xLabel} ${text(items[0]!.parsed.x, chart.xUnit)}`,
            label: (item: { dataset: { label?: string }; parsed: { y: number } }) =>
              `${item.dataset.label}: ${text(item.parsed.y, chart.yUnit)}`,
          },
        },
      },
      scales: {
        x: xAxis,
        y: {
          ...axis(chart.yLabel, chart.yUnit, chart.logY),
          stacked,
          ...(chart.yUnit === 'bytes' && !chart.logY && { afterBuildTicks: byteTicks }),
        },
      },
    },
  } as unknown as ChartConfiguration;
}
