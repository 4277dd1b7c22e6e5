/**
 * What moves in the page: sliders over steps, and charts that tell their values. Everything is there before it runs.
 * Text, because it runs in browsers, whose globals the rest of this program must not have.
 */
export const pageScript = `
'use strict';
const together = document.querySelector('#together');

// A slider over steps: every run shows its newest picture up to that step, and what was measured of it.
const prompts = [...document.querySelectorAll('[data-steps]')].map((slider) => ({
  slider,
  steps: JSON.parse(slider.dataset.steps),
  output: slider.parentElement.querySelector('.value'),
  runs: [...slider.closest('.prompt').querySelectorAll('figure')],
}));
function showStep({ slider, steps, output, runs }) {
  const step = steps[slider.valueAsNumber];
  output.textContent = 'step ' + step;
  const told = [];
  for (const run of runs) {
    const pictures = [...run.querySelectorAll('img')];
    const newest = pictures.findLast((picture) => Number(picture.dataset.step) <= step) ?? pictures[0];
    for (const picture of pictures) picture.hidden = picture !== newest;
    const label = run.querySelector('.at');
    if (label) label.textContent = 'step ' + newest.dataset.step;
    const scores = run.querySelector('.scores');
    if (scores) scores.textContent = newest.dataset.scores ?? '';
    const name = run.querySelector('.key')?.textContent;
    if (newest.dataset.scores) told.push((name ? name + ' ' : '') + newest.dataset.scores);
  }
  slider.setAttribute('aria-valuetext', ['step ' + step, ...told].join(', '));
}
for (const prompt of prompts) {
  prompt.slider.addEventListener('input', () => {
    showStep(prompt);
    if (!together?.checked) return;
    const step = prompt.steps[prompt.slider.valueAsNumber];
    for (const other of prompts) {
      if (other === prompt) continue;
      other.slider.value = Math.max(0, other.steps.findLastIndex((candidate) => candidate <= step));
      showStep(other);
    }
  });
}

// A chart's slider, or the pointer over its plot: a line at the step, and the values there.
const format = (value) => {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return Number(value.toPrecision(3)).toExponential().replace('e+', 'e');
  return String(Number(value.toPrecision(4)));
};
for (const chart of document.querySelectorAll('[data-chart]')) {
  const { steps, lines, low, high } = JSON.parse(chart.querySelector('script').textContent);
  const slider = chart.querySelector('input');
  const value = chart.querySelector('.value');
  const cursor = chart.querySelector('.cursor');
  const marks = [...chart.querySelectorAll('.mark')];
  const keys = [...chart.querySelectorAll('.key')];
  const [first, last] = [steps[0], steps[steps.length - 1]];
  const x = (step) => (last > first ? ((step - first) / (last - first)) * 1000 : 500);
  const y = (value) => ((high - value) / (high - low)) * 300;
  const show = (index) => {
    const step = steps[index];
    slider.value = index;
    value.textContent = 'step ' + step;
    const texts = lines.map(({ name, points }, i) => {
      const point = points.findLast(([at]) => at <= step);
      keys[i].querySelector('b').textContent = point ? format(point[1]) : '';
      marks[i].setAttribute('d', point ? 'M' + x(point[0]) + ' ' + y(point[1]) + 'h0' : '');
      return point ? name + ' ' + format(point[1]) : name + ' none yet';
    });
    slider.setAttribute('aria-valuetext', 'step ' + step + ': ' + texts.join(', '));
    cursor.setAttribute('d', 'M' + x(step) + ' 0V300');
  };
  slider.addEventListener('input', () => show(slider.valueAsNumber));
  const plot = chart.querySelector('svg');
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect();
    const step = first + ((event.clientX - box.left) / box.width) * (last - first);
    const after = steps.findIndex((candidate) => candidate >= step);
    const index = after < 0 ? steps.length - 1 : after;
    show(index > 0 && step - steps[index - 1] < steps[index] - step ? index - 1 : index);
  });
}
`;
