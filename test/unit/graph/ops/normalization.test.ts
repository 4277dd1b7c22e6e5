import { checkOpCases } from '../../../check-op-cases.ts';
import { normalizationCases } from './cases/normalization.ts';

checkOpCases('normalization', normalizationCases);
