#!/usr/bin/env bash
# Every measurement of docs/study.md. Each line is resumable by itself: repeating it continues it.
#
#   studies/study.sh CIFAR10.npz TABLES OUT PART...
#
# CIFAR10.npz holds x_train (n, 32, 32, 3) uint8 and y_train (n,); TABLES holds nasbench201.csv,
# nasbench101.npz and darts_trained.csv; PART is one or more of: heldout frozen sample batch grid
# choice settings noise nasbench101 field az_nas darts_field darts_jacobian heavy classes classes_full
# classes_heavy evolution evolution_heavy equal_size full_600 newer another_form another_form_timm.
# Then: python -m studies.study_report OUT
set -euo pipefail
cd "$(dirname "$0")/.."
cifar=$1 tables=$2 out=$3
shift 3
python=${PYTHON:-python}
halves=$out/halves
images=(dataset=npz "dataset.path=$cifar")

# The study compares all scores at equal cost: 64 images and one draw, where a line says nothing else.
alike=(batch_size=64 repeats=1)

ranked() { # SPACE TABLE NAME ARCHITECTURES [OVERRIDES...]: rank by one table into $out/NAME
  local space=$1 table=$2 name=$3 count=$4
  shift 4
  "$python" -m nas_search.rank "search_space=$space" benchmark=csv "benchmark.path=$table" \
    "${images[@]}" "${alike[@]}" "architectures=$count" "hydra.run.dir=$out/$name" "$@"
}
table() { # NAME HALF: the file of the table, all of it or a half
  if [[ $2 == all ]]; then echo "$tables/$1.csv"; else echo "$halves/$1_$2.csv"; fi
}
nasbench201() { # HALF NAME ARCHITECTURES [OVERRIDES...]
  local half=$1 name=$2 count=$3
  shift 3
  ranked nasbench201 "$(table nasbench201 "$half")" "nasbench201/$name" "$count" \
    benchmark.architecture=arch_str benchmark.validation=c10_test_200 \
    'benchmark.test=[c10_test_200,c100_test_200,in16_test_200]' "$@"
}
darts() { # HALF NAME [OVERRIDES...]: each protocol by itself
  local half=$1 name=$2
  shift 2
  for protocol in full_600 small_200 short_50; do
    ranked darts "$(table darts_trained "$half")" "$protocol/$name" all \
      benchmark.architecture=genotype benchmark.validation=c10_acc \
      "benchmark.where={protocol:$protocol}" "$@"
  done
}

nasbench101() { # NAME [OVERRIDES...]
  local name=$1
  shift
  "$python" -m nas_search.rank search_space=nasbench101 benchmark=nasbench101 \
    "benchmark.path=$tables/nasbench101.npz" "${images[@]}" "${alike[@]}" architectures=300 \
    "hydra.run.dir=$out/nasbench101/$name" "$@"
}

changed() { # NAME OVERRIDES...: the chosen form with other settings, development halves
  local name=$1 images=("${images[@]}")
  shift
  if [[ " $* " == *" dataset="* ]]; then images=(); fi
  darts development "settings_$name" "proxies=[gradalign]" seeds=[0] "$@"
  nasbench201 development "settings_$name" 300 "proxies=[gradalign]" seeds=[0] "$@"
}

classes() { # NAME OVERRIDES...: one cell of every class of equal ones
  local name=$1 all=$out/nasbench201_classes.csv
  shift
  "$python" -m studies.classes --table "$tables/nasbench201.csv" --out "$all"
  ranked nasbench201 "$all" "nasbench201/$name" all \
    benchmark.architecture=arch_str benchmark.validation=c10_test_200 \
    'benchmark.test=[c10_test_200,c100_test_200,in16_test_200]' seeds=[0] "$@"
}
searched() { # NAME RUNS...: regularized evolution on the scores of those runs of classes
  local name=$1
  shift
  "$python" -m studies.evolution_by_score --table "$tables/nasbench201.csv" --seeds 50 \
    --scores "${@/#/$out/nasbench201/}" --out "$out/nasbench201/$name.csv"
}

"$python" -m studies.halves --table "$tables/nasbench201.csv" --architecture arch_str --out "$halves"
"$python" -m studies.halves --table "$tables/darts_trained.csv" --architecture genotype --out "$halves"
forms=$("$python" -c 'from studies.forms import FORMS; print(*FORMS, sep=",")')
forms="plugins=[studies.gradalign_forms] proxies=[gradalign,params,flops,depth,$forms]"
ours="proxies=[gradalign,params,flops,depth,naswot,gradalign_ii_layerwise]"
grid=$("$python" -c 'from studies.forms import GRID; print(*GRID, sep=",")')
grid="plugins=[studies.gradalign_forms] proxies=[gradalign,params,flops,depth,$grid]"
light="proxies=[gradalign_i,gradalign_ii,gradsign,gradsign_mean,naswot,jacob_cov,epe_nas,synflow,snip,grasp,fisher,grad_norm,plain,l2_norm,zico,zen,meco,swap,params_live,az_nas]"
heavy="proxies=[ntk_cond,linear_regions,vkdnw,te_nas]"

for part in "$@"; do
  case $part in
    frozen | sample | batch) # which form, with these batch-norm statistics: development halves
      darts development "forms_$part" $forms seeds=[0] "normalization=$part"
      nasbench201 development "forms_$part" 500 $forms seeds=[0] "normalization=$part" ;;
    grid) # what studies.choice chooses from: all cells of DARTS, 500 of NAS-Bench-201
      darts all grid $grid seeds=[0] batch_size=32
      nasbench201 all grid 500 $grid seeds=[0] batch_size=32 ;;
    choice) # how good the choice of a form is, from the part grid
      "$python" -m studies.choice "$out" ;;
    settings) # how the chosen form depends on its settings: development halves
      while read -r name changes; do
        # shellcheck disable=SC2086
        changed "$name" $changes
      done <<'END' ;;
n32 batch_size=32
digits16 dataset=digits dataset.size=16
kaiming_normal init=kaiming_normal
n16 batch_size=16
n64 batch_size=64
digits32 dataset=digits dataset.size=32
END
    noise) # no images at all
      "$python" -m studies.noise_images --out "$out/noise.npz"
      changed noise "dataset.path=$out/noise.npz" ;;
    heldout) # the chosen form beside the baselines: held-out halves, 3 draws
      darts heldout scores "$ours" seeds=[0,1,2]
      nasbench201 heldout scores 1000 "$ours" seeds=[0,1,2] ;;
    field) # the paper's variants and every other score, by their own definitions: a held-out half
      nasbench201 heldout field 500 "$light" seeds=[0,1,2] ;;
    az_nas) # by itself: it looks at noise and shares no pass with the others
      nasbench201 heldout az_nas 300 "proxies=[az_nas]" seeds=[0] ;;
    heavy) # the slow ones: many backward passes, crops or draws a network
      nasbench201 heldout heavy 300 "$heavy" seeds=[0] ;;
    darts_field)
      darts heldout field "$light" seeds=[0] batch_size=32 ;;
    darts_jacobian) # again, by what has since been found of it: docs/scores.md
      darts heldout field_jacobian "proxies=[jacob_cov,epe_nas]" seeds=[0] batch_size=32 ;;
    classes) # every score on one cell of every class of equal ones, for the part evolution
      classes classes search_space.cells=1 \
        "proxies=[gradalign,gradalign_ii_layerwise,naswot,synflow]"
      classes classes_field search_space.cells=1 "$light" batch_size=32 ;;
    classes_full) # the same at full size, for the scores that can be afforded
      classes classes_full search_space.cells=5 "proxies=[gradalign,naswot]" batch_size=32 ;;
    classes_heavy) # the slow scores on the same cells, for the part evolution_heavy
      classes classes_heavy search_space.cells=1 "$heavy" batch_size=32 ;;
    evolution) # what a search finds with each of those scores as fitness
      searched evolution classes classes_field
      searched evolution_full classes_full ;;
    evolution_heavy)
      searched evolution_heavy classes_heavy ;;
    equal_size) # the scores of every network, for studies.equal_size_scores: the bare command's images
      images=() alike=(batch_size=32 repeats=1 seeds=[0]) equal="proxies=[gradalign,naswot,swap]"
      nasbench201 all light 300 "$equal"
      for protocol in full_600 short_50; do
        ranked darts "$(table darts_trained all)" "$protocol/light" all \
          benchmark.architecture=genotype benchmark.validation=c10_acc \
          "benchmark.where={protocol:$protocol}" "$equal"
      done
      nasbench101 light "$equal" architectures=120 ;;
    full_600) # all cells of that protocol, those of later too: for studies.full_600
      ranked darts "$tables/darts_full600_curves.csv" full_600/all all \
        benchmark.architecture=genotype benchmark.validation=c10_acc seeds=[0] batch_size=32 \
        "proxies=[gradalign,params,flops,depth,naswot,swap,zico,synflow]" ;;
    another_form) # what studies.another_form chooses from; TABLES holds all of its tables
      "$python" -m studies.another_form tables "$tables" "$out/tables"
      another() { # PLACE SPACE TABLE ARCHITECTURES OVERRIDES...
        local place=$1 space=$2 table=$3 count=$4
        shift 4
        ranked "$space" "$table" "$place/another_form" "$count" $grid seeds=[0] batch_size=32 \
          bootstrap=0 "$@"
      }
      transnas() { # KIND ARCHITECTURES
        another "transnas_$1" "transnas_$1" "$tables/transnas101.csv" "$2" \
          benchmark.architecture=arch "benchmark.where={space:$1}" \
          benchmark.validation=class_object__test_top1 'benchmark.test=[class_object__test_top1,class_scene__test_top1,jigsaw__test_top1,autoencoder__test_ssim,normal__test_ssim,room_layout__test_loss,segmentsemantic__test_mIoU]'
      }
      transnas micro 200
      another nas_bench_macro nas_bench_macro "$tables/nas_bench_macro.csv" 150 \
        benchmark.architecture=arch benchmark.validation=mean_acc
      "$python" -m nas_search.rank search_space=nasbench101 benchmark=nasbench101 \
        "benchmark.path=$tables/nasbench101.npz" "${images[@]}" "${alike[@]}" architectures=200 \
        "hydra.run.dir=$out/nasbench101/another_form" $grid seeds=[0] batch_size=32 bootstrap=0
      another nasbench201 nasbench201 "$tables/nasbench201.csv" 300 \
        benchmark.architecture=arch_str benchmark.validation=c10_test_200 \
        'benchmark.test=[c10_test_200,c100_test_200,in16_test_200]'
      transnas macro 150
      another full_600 darts "$tables/darts_full600_curves.csv" all \
        benchmark.architecture=genotype benchmark.validation=c10_acc
      for protocol in small_200 short_50; do
        another "$protocol" darts "$tables/darts_trained.csv" 100 \
          benchmark.architecture=genotype benchmark.validation=c10_acc \
          "benchmark.where={protocol:$protocol}"
      done
      for supernet in tiny small base; do
        another "autoformer_$supernet" autoformer "$out/tables/autoformer_$supernet.csv" 60 \
          "search_space.supernet=$supernet" search_space.patch_size=8 \
          benchmark.validation=imagenet_top1
      done
      "$python" -m nas_search.rank search_space=flexibert dataset=text dataset.length=16 \
        benchmark=flexibert "benchmark.path=$tables/flexibert.csv" "${alike[@]}" architectures=60 \
        "hydra.run.dir=$out/flexibert/another_form" $grid seeds=[0] batch_size=16 bootstrap=0 ;;
    another_form_timm) # the same of the models of timm, 64 x 64 pixels
      "$python" -m studies.timm_models score --table "$tables/timm_same_recipe.csv" \
        --images "$cifar" --size 64 --to "$out/timm/another_form.csv" --grid ;;
    newer) # scores that were published since, beside the default: 100 cells at full size
      newer="proxies=[near,wrcor,dextr,nsc,gradalign,naswot]"
      nasbench201 all newer 100 $newer seeds=[0] batch_size=32
      nasbench101 newer $newer seeds=[0] batch_size=32 architectures=100 ;;
    nasbench101) # a space that nothing was chosen on
      nasbench101 scores "$ours" seeds=[0,1,2] ;;
    *) echo "unknown part '$part'" >&2; exit 2 ;;
  esac
done
