/** PNG charts, drawn without a browser by chartjs-node-canvas. */
import { ChartJSNodeCanvas } from 'chartjs-node-canvas';
import type { ResultDocument } from '../harness/result.ts';
import { chartConfig, LIGHT_PALETTE } from './chart-config.ts';
import { buildReportView } from './view-model.ts';

/** Pixels of a picture. */
export const PNG_WIDTH = 900;
export const PNG_HEIGHT = 480;

export interface Picture {
  /** Id of the chart in the view model. */
  chart: string;
  /** File name, made of safe characters only. */
  name: string;
  bytes: Uint8Array;
}

/** @returns one picture a chart, in the report's order */
export function renderPngs(result: ResultDocument): Picture[] {
  const canvas = new ChartJSNodeCanvas({
    width: PNG_WIDTH,
    height: PNG_HEIGHT,
    backgroundColour: LIGHT_PALETTE.background,
  });
  return buildReportView(result).scenarios.flatMap((scenario, index) => {
    const scenarioName = fileName(result.scenarios[index]!.name);
    return scenario.charts.map((chart) => ({
      chart: chart.id,
      name: `${scenarioName}-${chart.id}.png`,
      bytes: canvas.renderToBufferSync(chartConfig(chart, LIGHT_PALETTE, false) as never),
    }));
  });
}

/** Letters, digits, dot, dash and underline stay; all else becomes a dash. */
function fileName(text: string): string {
  return text.replace(/[^\w.-]+/g, '-').replace(/^[.-]+/, '') || 'scenario';
}
