import { checkOpCases } from '../../../check-op-cases.ts';
import { withGradientCases } from './cases/with-gradient.ts';

checkOpCases('withGradient', withGradientCases);
