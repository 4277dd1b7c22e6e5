;; The loops over all trained elements, four float32 at a time. `npm run kernels` makes kernels-wasm.ts of this file.
;;
;; Every instruction rounds as IEEE 754 says, and none is fused, so that each processor gives the same bits.
;; The caller copies a block of up to 4096 elements of each array into this memory, and back what has changed:
;;   0x0000 parameters   0x4000 gradients   0x8000 first moments   0xc000 second moments
;; $bytes is how much of each is there: whole vectors, with zeros after an array's end.
(module
  (memory (export "memory") 1)

  ;; AdamW: g *= scale; m += rest1 (g - m); v += rest2 (g^2 - v); p -= decay p + step m / (sqrt(v) root + eps)
  (func (export "adamw")
    (param $bytes i32) (param $scale f32)
    (param $rest1 f32) (param $rest2 f32) (param $decay f32) (param $step f32) (param $root f32) (param $eps f32)
    (local $at i32) (local $p v128) (local $g v128) (local $m v128) (local $v v128)
    (loop $next
      (local.set $p (v128.load offset=0x0000 (local.get $at)))
      (local.set $g (f32x4.mul (v128.load offset=0x4000 (local.get $at)) (f32x4.splat (local.get $scale))))
      (local.set $m (v128.load offset=0x8000 (local.get $at)))
      (local.set $v (v128.load offset=0xc000 (local.get $at)))

      (local.set $m (f32x4.add (local.get $m)
        (f32x4.mul (f32x4.splat (local.get $rest1)) (f32x4.sub (local.get $g) (local.get $m)))))
      (local.set $v (f32x4.add (local.get $v)
        (f32x4.mul (f32x4.splat (local.get $rest2))
          (f32x4.sub (f32x4.mul (local.get $g) (local.get $g)) (local.get $v)))))
      (local.set $p (f32x4.sub (local.get $p)
        (f32x4.add
          (f32x4.mul (f32x4.splat (local.get $decay)) (local.get $p))
          (f32x4.div
            (f32x4.mul (f32x4.splat (local.get $step)) (local.get $m))
            (f32x4.add
              (f32x4.mul (f32x4.sqrt (local.get $v)) (f32x4.splat (local.get $root)))
              (f32x4.splat (local.get $eps)))))))

      (v128.store offset=0x0000 (local.get $at) (local.get $p))
      (v128.store offset=0x8000 (local.get $at) (local.get $m))
      (v128.store offset=0xc000 (local.get $at) (local.get $v))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes)))))

  ;; Lion: g *= scale; p -= decay p + rate sign(m + rest1 (g - m)); m += rest2 (g - m), where sign(0) is 0.
  (func (export "lion")
    (param $bytes i32) (param $scale f32) (param $rest1 f32) (param $rest2 f32) (param $decay f32) (param $rate f32)
    (local $at i32) (local $p v128) (local $g v128) (local $m v128) (local $direction v128) (local $move v128)
    (loop $next
      (local.set $p (v128.load offset=0x0000 (local.get $at)))
      (local.set $g (f32x4.mul (v128.load offset=0x4000 (local.get $at)) (f32x4.splat (local.get $scale))))
      (local.set $m (v128.load offset=0x8000 (local.get $at)))

      (local.set $direction (f32x4.add (local.get $m)
        (f32x4.mul (f32x4.splat (local.get $rest1)) (f32x4.sub (local.get $g) (local.get $m)))))
      ;; The rate with the direction's sign bit, and no bit where the direction is 0.
      (local.set $move
        (v128.and
          (v128.bitselect (local.get $direction) (f32x4.splat (local.get $rate)) (i32x4.splat (i32.const 0x80000000)))
          (f32x4.ne (local.get $direction) (f32x4.splat (f32.const 0)))))
      (local.set $p (f32x4.sub (local.get $p)
        (f32x4.add (f32x4.mul (f32x4.splat (local.get $decay)) (local.get $p)) (local.get $move))))
      (local.set $m (f32x4.add (local.get $m)
        (f32x4.mul (f32x4.splat (local.get $rest2)) (f32x4.sub (local.get $g) (local.get $m)))))

      (v128.store offset=0x0000 (local.get $at) (local.get $p))
      (v128.store offset=0x8000 (local.get $at) (local.get $m))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes)))))

  ;; The sum of squares of the gradients, in float64.
  (func (export "sumOfSquares") (param $bytes i32) (result f64)
    (local $at i32) (local $x v128) (local $low v128) (local $high v128)
    (loop $next
      (local.set $x (f64x2.promote_low_f32x4 (v128.load64_zero offset=0x4000 (local.get $at))))
      (local.set $low (f64x2.add (local.get $low) (f64x2.mul (local.get $x) (local.get $x))))
      (local.set $x (f64x2.promote_low_f32x4 (v128.load64_zero offset=0x4008 (local.get $at))))
      (local.set $high (f64x2.add (local.get $high) (f64x2.mul (local.get $x) (local.get $x))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes))))
    (local.set $low (f64x2.add (local.get $low) (local.get $high)))
    (f64.add (f64x2.extract_lane 0 (local.get $low)) (f64x2.extract_lane 1 (local.get $low))))
)
