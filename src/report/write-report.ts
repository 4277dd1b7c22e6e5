import { writeText } from '../io/atomic-write.ts';
import { reportPage } from './report-page.ts';
import { readRunRecord, type RunRecord } from './run-record.ts';

/**
 * Writes a page about one or several runs, a single file without network: samples by step, curves, pictures, settings,
 * timings, adapters.
 * @param runDirs the runs' folders; several are shown side by side
 * @param out the page's path
 * @throws UserError when a folder holds no run
 */
export async function writeReport(runDirs: readonly string[], out: string): Promise<void> {
  const records: RunRecord[] = [];
  for (const runDir of runDirs) records.push(await readRunRecord(runDir));
  await writeText(out, await reportPage(distinctLabels(records)));
}

/** Runs whose folders have the same name are told apart by a number. */
function distinctLabels(records: readonly RunRecord[]): readonly RunRecord[] {
  return records.map((record, i) => {
    const before = records.slice(0, i).filter(({ label }) => label === record.label).length;
    return before > 0 ? { ...record, label: `${record.label} (${before + 1})` } : record;
  });
}
