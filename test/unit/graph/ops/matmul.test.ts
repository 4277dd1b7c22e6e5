import { checkOpCases } from '../../../check-op-cases.ts';
import { matMulCases } from './cases/matmul.ts';

checkOpCases('matmul', matMulCases);
