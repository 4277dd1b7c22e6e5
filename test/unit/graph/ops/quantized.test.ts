import { checkOpCases } from '../../../check-op-cases.ts';
import { quantizedCases } from './cases/quantized.ts';

checkOpCases('quantized', quantizedCases);
